//! `flowgate keys revoke`: takes a key out of use, in whatever state its file is.

use jiff::Timestamp;

use super::{CommandContext, CommandError, Output, RevokeKey, edited, find, replace};
use crate::config::{Problems, Secret};
use crate::keys::audit::PlannedChange;
use crate::keys::disk::LockedFile;
use crate::keys::edit::{self, Change, Revocation};
use crate::keys::file::{self, KeyEntry};
use crate::keys::written;

impl RevokeKey {
    pub(super) fn run(&self, place: &CommandContext<'_>, now: Timestamp) -> Result<Output, CommandError> {
        let locked = LockedFile::open(place.file)?;
        let edited = match find(place.file, &locked, &self.id) {
            Err(CommandError::Invalid(problems)) => self.edited_in_part(place, &locked, problems)?,
            found => self.edited(place, found?)?,
        };
        let done = if self.delete { "deleted" } else { "disabled" };
        let streams = if self.now { " and ends its running streams" } else { "" };
        let change = format!("{done}{}", if self.now { "; running streams end" } else { "" });
        let warning = replace(place.file, locked, &edited, PlannedChange::here("revoke", &self.id, change, now))?;
        let mut stderr = format!(
            "{warning}key `{}` is {done} in {}; {}, if one runs, refuses it{streams} within 2 seconds\n",
            self.id,
            place.file.display(),
            place.takers()
        );
        // No reason to keep a key: a gateway takes over at least what such a file revokes.
        if let Err(problems) = file::read(place.file, &edited, place.names.as_ref()) {
            stderr = format!(
                "{problems}\nwarning: of this file only what it revokes is taken over until that is right\n{stderr}"
            );
        }
        Ok(Output { stdout: Secret::new(String::new()), stderr })
    }

    fn edited(
        &self,
        place: &CommandContext<'_>,
        (text, entries, index): (String, Vec<KeyEntry>, usize),
    ) -> Result<String, CommandError> {
        let mut entry = entries.get(index).cloned().ok_or_else(|| CommandError::NoSuchKey(self.id.clone()))?;
        let change = if self.delete {
            if entries.len() == 1 {
                return Err(CommandError::LastKey(entry.key.id));
            }
            Change::Remove(index)
        } else {
            entry.key.enabled = false;
            entry.key.end_streams = self.now;
            Change::Replace(index, entry)
        };
        edited(place.file, &text, &entries, &change)
    }

    /// In a file with mistakes: no reason to keep a key either, as far as it can be read.
    fn edited_in_part(
        &self,
        place: &CommandContext<'_>,
        locked: &LockedFile,
        problems: Problems,
    ) -> Result<String, CommandError> {
        let mut text = locked.text().unwrap_or_default().to_owned();
        let Some(mut written) = written::read(place.file, &text) else { return Err(problems.into()) };
        // By mistake there may be several.
        let places = written.with_id(&self.id).to_vec();
        if places.is_empty() {
            return Err(problems.into());
        }
        for index in places.into_iter().rev() {
            if self.delete && written.is_last(index) {
                return Err(CommandError::LastKey(self.id.as_str().into()));
            }
            let how = match (self.delete, self.now) {
                (true, _) => Revocation::Delete,
                (false, true) => Revocation::DisableNow,
                (false, false) => Revocation::Disable,
            };
            let edited = edit::revoke(&text, &written, index, how);
            text = edited.map_err(|edit::EditFailed| CommandError::Uneditable(place.file.to_owned()))?;
            written = written::read(place.file, &text).unwrap_or_default();
        }
        Ok(text)
    }
}
