//! When each key was last used, in seconds of the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::keys::KeyStore;

/// See the module. Indexed as the keys are.
#[derive(Debug, Default)]
pub(crate) struct KeyUse {
    keys: Arc<KeyStore>,
    /// One second more; 0: never.
    last: Box<[AtomicU32]>,
}

impl KeyUse {
    /// Of these keys, as far as it is known of the ones before.
    pub(super) fn after(before: &Arc<Self>, keys: &Arc<KeyStore>) -> Arc<Self> {
        if Arc::ptr_eq(&before.keys, keys) {
            return Arc::clone(before);
        }
        let known = |id: &str| before.keys.by_id(id).and_then(|(index, _)| before.last.get(index));
        let last = keys.keys().iter().map(|key| AtomicU32::new(known(&key.id).map_or(0, |last| last.load(Relaxed))));
        Arc::new(Self { last: last.collect(), keys: Arc::clone(keys) })
    }

    /// Notes that the key with that index was used in that second.
    pub(crate) fn note(&self, key: u32, second: u32) {
        let Some(last) = self.last.get(key as usize) else { return };
        // Most requests come in a second of which it is known already.
        if last.load(Relaxed) != second.saturating_add(1) {
            last.store(second.saturating_add(1), Relaxed);
        }
    }

    /// The second in which the key with that index was last used.
    pub(crate) fn last(&self, key: usize) -> Option<u32> {
        self.last.get(key)?.load(Relaxed).checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Key;

    fn store(ids: &[&str]) -> Arc<KeyStore> {
        Arc::new(ids.iter().zip(1..).map(|(id, number)| Key::new(id, [number; 32])).collect())
    }

    #[test]
    fn use_is_known_over_a_reload_by_the_keys_id() {
        let first = KeyUse::after(&Arc::default(), &store(&["a", "b"]));
        first.note(1, 7);
        first.note(9, 7);
        assert_eq!((first.last(0), first.last(1), first.last(9)), (None, Some(7), None));
        let second = KeyUse::after(&first, &store(&["b", "c"]));
        assert_eq!((second.last(0), second.last(1)), (Some(7), None));
        assert!(Arc::ptr_eq(&second, &KeyUse::after(&second, &second.keys)));
    }
}
