//! `flowgate keys rotate`: another secret, beside which the old one counts for a while.

use jiff::Timestamp;

use super::{CommandContext, CommandError, Output, RotateKey, after, find, printed, write};
use crate::keys::audit::PlannedChange;
use crate::keys::disk::LockedFile;
use crate::keys::edit::Change;
use crate::keys::{KeyState, secret};

impl RotateKey {
    pub(super) fn run(&self, place: &CommandContext<'_>, now: Timestamp) -> Result<Output, CommandError> {
        let until = after(now, self.grace)?;
        let locked = LockedFile::open(place.file)?;
        let (text, entries, index) = find(place.file, &locked, &self.id)?;
        let mut new = entries.get(index).cloned().ok_or_else(|| CommandError::NoSuchKey(self.id.clone()))?;
        let secret = secret::generate(new.key.kind)?;
        let was_rotating = new.key.is_rotating(now);
        let old = new.key.digest;
        new.key.set_previous((until > now).then_some((old, until)));
        let mut note = match new.key.previous() {
            Some((_, until)) => format!("key `{}` has a new secret; the old one works until {until}", self.id),
            None => format!("key `{}` has a new secret; the old one no longer works", self.id),
        };
        if was_rotating {
            note.push_str("; the one before that no longer works");
        }
        match new.key.state(now) {
            KeyState::Active => {}
            KeyState::Expired => note.push_str("; the key has expired, so neither works"),
            KeyState::Disabled => note.push_str("; the key is disabled, so neither works"),
        }
        new.key.digest = secret::digest(secret.expose());
        let change = match new.key.previous() {
            Some((_, until)) => format!("new secret; the old one counts until {until}"),
            None => "new secret; the old one counts no longer".to_owned(),
        };
        let told = PlannedChange::here("rotate", &self.id, change, now);
        let warning = write(place, locked, (&text, &entries), &Change::Replace(index, new), told)?;
        Ok(printed(&secret, &format!("{warning}{note}")))
    }
}
