//! Ids for chats whose client names none. Whoever knows a chat's id can read and continue it, so they are random.

use aws_lc_rs::rand;

use crate::uuid::uuid;

/// A UUID of version 4; `None` if the system has no randomness to give.
pub(crate) fn random() -> Option<String> {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes).ok()?;
    Some(uuid(u128::from_be_bytes(bytes), 4))
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_uuids_of_version_4_and_differ() {
        let (a, b) = (super::random().unwrap(), super::random().unwrap());
        assert_ne!(a, b);
        for id in [a, b] {
            assert_eq!(id.len(), 36);
            assert_eq!(&id[14..15], "4");
            assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
        }
    }
}
