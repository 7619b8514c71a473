//! Ids for chats whose client names none. Whoever knows a chat's id can read and continue it, so they are random.

use std::cell::RefCell;

use aws_lc_rs::rand;

use crate::uuid::uuid;

/// Random bits of so many ids are asked for at once: the asking takes as long as for one.
const AT_ONCE: usize = 32;

thread_local! {
    /// Bits that no id has been made of.
    static UNUSED: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
}

/// A UUID of version 4; `None` if the system has no randomness to give.
pub(crate) fn random() -> Option<String> {
    UNUSED.with_borrow_mut(|unused| {
        if unused.is_empty() {
            let mut bytes = [[0_u8; 16]; AT_ONCE];
            rand::fill(bytes.as_flattened_mut()).ok()?;
            unused.extend(bytes);
        }
        let bits = unused.last_mut().map(std::mem::take)?;
        unused.pop();
        Some(uuid(u128::from_be_bytes(bits), 4))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_uuids_of_version_4_and_differ() {
        let ids: Vec<_> = (0..3 * super::AT_ONCE).map(|_| super::random().unwrap()).collect();
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), ids.len());
        for id in ids {
            assert_eq!(id.len(), 36);
            assert_eq!(&id[14..15], "4");
            assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
        }
    }
}
