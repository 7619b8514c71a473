//! Gives clients their own ids back.
//!
//! Flowise's ids of isolated chats are UUIDs that the gateway computed, 128 bits that stand nowhere by chance: looking
//! for their bytes finds every one, in any field or event, without parsing.

use bytes::Bytes;
use memchr::{memchr, memchr_iter};

use super::super::session::{ChatIds, Pair};

/// Ids of one answer: its chat's and its session's.
const MOST: usize = 2;

/// Flowise's id, and the client's as it stands inside a JSON string.
#[derive(Debug)]
pub(crate) struct Rename {
    from: Box<[u8]>,
    /// Where its first dash is.
    dash: usize,
    to: Box<[u8]>,
}

impl Rename {
    /// Those that differ.
    pub(super) fn of(ids: &ChatIds) -> Vec<Self> {
        let session = ids.session.as_ref().filter(|session| **session != ids.chat);
        let differs = |pair: &&Pair| pair.client != pair.upstream;
        let pairs = [Some(&ids.chat).filter(differs), session.filter(differs)];
        let mut renames = Vec::with_capacity(pairs.iter().flatten().count());
        renames.extend(pairs.into_iter().flatten().map(Self::new));
        renames
    }

    fn new(Pair { client, upstream }: &Pair) -> Self {
        let quoted = serde_json::to_string(client).unwrap_or_default();
        let inner = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
        let from: Box<[u8]> = upstream.as_bytes().into();
        Self { dash: memchr(b'-', &from).unwrap_or_default(), from, to: inner.as_bytes().into() }
    }

    /// Where it stands first. Of its bytes, a dash is the one that is seldom in answers; what `memmem` makes ready for the
    /// whole takes 300 bytes, and more time than most answers take to be searched.
    fn find(&self, bytes: &[u8]) -> Option<usize> {
        let rare = *self.from.get(self.dash)?;
        let mut places = memchr_iter(rare, bytes.get(self.dash..)?);
        places.find(|at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(&self.from)))
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
            let behind = at + rename.from.len();
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
        rename.find(bytes.get(from..)?).map(|at| from + at)
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
            let most = rename.from.len().saturating_sub(1).min(bytes.len());
            (1..=most)
                .rev()
                .find(|length| bytes.get(bytes.len() - length..).is_some_and(|end| rename.from.starts_with(end)))
        };
        self.renames.iter().filter_map(longest).max().unwrap_or(0)
    }
}
