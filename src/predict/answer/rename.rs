//! Gives clients their own ids back.
//!
//! Flowise's ids of isolated chats are UUIDs that the gateway computed, 128 bits that stand nowhere by chance: looking
//! for their bytes finds every one, in any field or event, without parsing.

use bytes::Bytes;
use memchr::memmem;

use super::super::session::{ChatIds, Pair};

/// Ids of one answer: its chat's and its session's.
const MOST: usize = 2;

/// Flowise's id, and the client's as it stands inside a JSON string.
#[derive(Debug)]
pub(crate) struct Rename {
    /// Made once: every piece is searched.
    from: memmem::Finder<'static>,
    to: Box<[u8]>,
}

impl Rename {
    /// Those that differ.
    pub(super) fn of(ids: &ChatIds) -> Vec<Self> {
        let session = ids.session.as_ref().filter(|session| **session != ids.chat);
        [Some(&ids.chat), session]
            .into_iter()
            .flatten()
            .filter(|pair| pair.client != pair.upstream)
            .map(|Pair { client, upstream }| {
                let quoted = serde_json::Value::from(client.as_str()).to_string();
                let inner = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
                Self { from: memmem::Finder::new(upstream).into_owned(), to: inner.as_bytes().into() }
            })
            .collect()
    }
}

/// Renames ids in bytes that come in pieces, split anywhere.
#[derive(Debug)]
pub(crate) struct Renamer {
    renames: Vec<Rename>,
    /// The start of what may become an id: shorter than one.
    held: Vec<u8>,
}

impl Renamer {
    pub(super) fn new(renames: Vec<Rename>) -> Self {
        Self { renames, held: Vec::new() }
    }

    /// What goes on now; nothing is held but what may become an id, and so nothing at the end of a record.
    pub(crate) fn take(&mut self, piece: Bytes) -> Bytes {
        let piece = if self.held.is_empty() {
            piece
        } else {
            self.held.extend_from_slice(&piece);
            std::mem::take(&mut self.held).into()
        };
        let mut renamed = Vec::new();
        let mut rest = &*piece;
        // Each is looked for again only behind where it stood: one that is far away costs nothing more.
        let mut places: [Option<usize>; MOST] = std::array::from_fn(|index| self.find(index, &piece, 0));
        while let Some((at, rename)) = self.first_of(&places) {
            if renamed.is_empty() {
                renamed.reserve(piece.len() + rename.to.len());
            }
            let from = piece.len() - rest.len();
            renamed.extend_from_slice(piece.get(from..at).unwrap_or_default());
            renamed.extend_from_slice(&rename.to);
            let behind = at + rename.from.needle().len();
            rest = piece.get(behind..).unwrap_or_default();
            for (index, place) in places.iter_mut().enumerate() {
                if place.is_some_and(|place| place < behind) {
                    *place = self.find(index, &piece, behind);
                }
            }
        }
        let (whole, held) = rest.split_at(rest.len() - self.partial(rest));
        self.held.extend_from_slice(held);
        if renamed.is_empty() && rest.len() == piece.len() {
            return piece.slice(..whole.len());
        }
        renamed.extend_from_slice(whole);
        renamed.into()
    }

    /// In the same place, for bytes that are taken and given back with every record.
    pub(super) fn put_into(&mut self, piece: &mut Vec<u8>) {
        let stands_in = |index| self.find(index, piece, 0).is_some();
        if !self.held.is_empty() || (0..self.renames.len()).any(stands_in) || self.partial(piece) > 0 {
            *piece = self.take(std::mem::take(piece).into()).into();
        }
    }

    /// For bytes that are all there is.
    pub(super) fn whole(mut self, bytes: Bytes) -> Bytes {
        let shown = self.take(bytes);
        if self.held.is_empty() { shown } else { [&*shown, &*self.held].concat().into() }
    }

    /// What is still held.
    pub(crate) fn end(&mut self) -> Bytes {
        std::mem::take(&mut self.held).into()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Where an id stands next.
    fn find(&self, index: usize, bytes: &[u8], from: usize) -> Option<usize> {
        let rename = self.renames.get(index)?;
        rename.from.find(bytes.get(from..)?).map(|at| from + at)
    }

    fn first_of(&self, places: &[Option<usize>; MOST]) -> Option<(usize, &Rename)> {
        let found = places.iter().zip(&self.renames).filter_map(|(place, rename)| Some(((*place)?, rename)));
        found.min_by_key(|(at, _)| *at)
    }

    /// Length of the longest end of `bytes` that starts an id.
    fn partial(&self, bytes: &[u8]) -> usize {
        // Most pieces end in a brace or a line feed.
        if !bytes.last().is_some_and(|byte| byte.is_ascii_hexdigit() || *byte == b'-') {
            return 0;
        }
        let longest = |rename: &Rename| {
            let most = rename.from.needle().len().saturating_sub(1).min(bytes.len());
            (1..=most).rev().find(|length| {
                bytes.get(bytes.len() - length..).is_some_and(|end| rename.from.needle().starts_with(end))
            })
        };
        self.renames.iter().filter_map(longest).max().unwrap_or(0)
    }
}
