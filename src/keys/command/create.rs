//! `flowgate keys create`: a new key at the end of the file.

use std::sync::Arc;

use jiff::Timestamp;

use super::{CommandContext, CommandError, CreateKey, HEADER, Output, after, printed, write};
use crate::config::Origins;
use crate::keys::Key;
use crate::keys::audit::PlannedChange;
use crate::keys::disk::LockedFile;
use crate::keys::edit::Change;
use crate::keys::file::{self, KeyEntry};
use crate::keys::secret::{self, KeyKind};
use crate::keys::terms::Details;

impl CreateKey {
    pub(super) fn run(&self, place: &CommandContext<'_>, now: Timestamp) -> Result<Output, CommandError> {
        let expires_at = self.expires_in.map(|span| after(now, span)).transpose()?.or(self.expires_at);
        if expires_at.is_some_and(|end| end <= now) {
            return Err(CommandError::ExpiresInThePast);
        }
        let kind = if self.publishable { KeyKind::Publishable } else { KeyKind::Secret };
        let mut allowed_origins = Origins::default();
        for text in &self.origins {
            allowed_origins.add(text)?;
        }
        let secret = secret::generate(kind)?;
        let mut key = Key::new(&self.id, secret::digest(secret.expose()));
        key.kind = kind;
        key.chatflows =
            (!self.chatflows.is_empty()).then(|| self.chatflows.iter().map(|name| name.as_str().into()).collect());
        key.upsert = self.upsert;
        key.expires_at = expires_at;
        key.set_details(Details { previous: None, allowed_origins, allowed_ips: self.allowed_ips.clone() });
        let new = KeyEntry { at: None, plan: self.plan.as_deref().map(Arc::from), key };
        let locked = LockedFile::open(place.file)?;
        let text = locked.text().filter(|text| !text.is_empty()).unwrap_or(HEADER).to_owned();
        let entries = file::read(place.file, &text, None)?;
        if entries.iter().any(|entry| entry.key.id == new.key.id) {
            return Err(CommandError::IdTaken(new.key.id));
        }
        let kind_told = if self.publishable { "publishable key" } else { "secret key" }.to_owned();
        let told = PlannedChange::here("create", &self.id, kind_told, now);
        let warning = write(place, locked, (&text, &entries), &Change::Append(new), told)?;
        Ok(printed(&secret, &format!("{warning}key `{}` is in {}", self.id, place.file.display())))
    }
}
