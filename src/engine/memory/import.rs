//! Chats from elsewhere, put into the file while no gateway has it.

use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use redb::Database;

use super::disk::{self, StoredExchange};
use super::write_behind::BOUNDS;
use crate::engine::contract::history::beginning;
use crate::engine::contract::memory::{LONGEST_TEXT, Turn};

/// The file's name in its folder.
pub(crate) const CHATS_FILE: &str = disk::FILE;

/// A chat as it was elsewhere.
#[derive(Debug)]
pub(crate) struct ImportedChat {
    /// The flow's id, under which the engine remembers.
    pub(crate) flow: String,
    pub(crate) session: String,
    /// What was said in one go, oldest first.
    pub(crate) exchanges: Vec<Vec<Turn>>,
}

/// Adds what is not in the file of that folder yet, and says to how many chats something came; a chat that has gone on
/// here, or that somebody has gone on with there and here, stays as it is. What is brought counts as said now, so that it
/// is remembered for as long as anything else. The file is made if it is not there.
///
/// # Errors
/// The file cannot be read or written, or another process has it.
pub(crate) fn import_chats(folder: &Path, chats: &[ImportedChat]) -> io::Result<usize> {
    let database = disk::open(folder)?;
    let mut news = Vec::new();
    let mut changed = 0;
    for chat in chats {
        let exchanges = unknown(&database, chat)?;
        changed += usize::from(!exchanges.is_empty());
        news.extend(exchanges.into_iter().map(|turns| (chat, turns)));
    }
    if news.is_empty() {
        return Ok(0);
    }
    let last = disk::last_number(&database).map_err(io::Error::other)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let first = u64::try_from(now).unwrap_or(u64::MAX).saturating_sub(news.len() as u64).max(last + 1);
    let numbered = (first..).zip(news).map(|(number, (chat, turns))| {
        let (flow, session) = (chat.flow.as_str().into(), chat.session.as_str().into());
        StoredExchange { flow, session, number, turns }
    });
    let exchanges: Vec<StoredExchange> = numbered.collect();
    disk::write(&database, &exchanges, [], &BOUNDS).map_err(io::Error::other)?;
    Ok(changed)
}

/// What of a chat comes after all that the file has of it.
fn unknown(database: &Database, chat: &ImportedChat) -> io::Result<Vec<Vec<Turn>>> {
    let brought: Vec<Vec<Turn>> = chat.exchanges.iter().map(|turns| turns.iter().map(shortened).collect()).collect();
    let known = disk::read(database, &chat.flow, &chat.session, 0).map_err(io::Error::other)?;
    let Some((_, last)) = known.last() else { return Ok(brought) };
    let place = brought.iter().rposition(|turns| turns == last);
    Ok(place.map(|place| brought.into_iter().skip(place + 1).collect()).unwrap_or_default())
}

fn shortened(turn: &Turn) -> Turn {
    Turn { by_user: turn.by_user, text: beginning(&turn.text, LONGEST_TEXT).to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<Turn> {
        vec![Turn { by_user: true, text: text.to_owned() }, Turn { by_user: false, text: format!("{text}!") }]
    }

    fn chat(texts: &[&str]) -> ImportedChat {
        let exchanges = texts.iter().map(|text| said(text)).collect();
        ImportedChat { flow: "flow".into(), session: "chat".into(), exchanges }
    }

    fn known(folder: &Path) -> Vec<Vec<Turn>> {
        let database = disk::open(folder).unwrap();
        disk::read(&database, "flow", "chat", 0).unwrap().into_iter().map(|(_, turns)| turns).collect()
    }

    #[test]
    fn what_is_known_is_not_brought_twice() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(import_chats(folder.path(), &[chat(&["a", "b"])]).unwrap(), 1);
        assert_eq!(import_chats(folder.path(), &[chat(&["a", "b"])]).unwrap(), 0);
        assert_eq!(import_chats(folder.path(), &[chat(&["a", "b", "c"])]).unwrap(), 1);
        assert_eq!(known(folder.path()), [said("a"), said("b"), said("c")]);
        // Gone on here since, with something that the other side does not know.
        assert_eq!(import_chats(folder.path(), &[chat(&["x", "y"])]).unwrap(), 0);
        assert_eq!(known(folder.path()).len(), 3);
    }
}
