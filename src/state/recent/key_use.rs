//! When each key was last used, and each identity provider's tokens, in seconds of the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::keys::KeyStore;

/// See the module. Indexed as callers are: keys, and behind them identity providers.
#[derive(Debug, Default)]
pub(crate) struct KeyUse {
    keys: Arc<KeyStore>,
    /// Names of identity providers, which no key has.
    providers: Box<[Arc<str>]>,
    /// One second more; 0: never.
    last: Box<[AtomicU32]>,
}

impl KeyUse {
    /// Of these keys and providers, as far as it is known of the ones before.
    pub(super) fn after(before: &Arc<Self>, keys: &Arc<KeyStore>, providers: Vec<Arc<str>>) -> Arc<Self> {
        if Arc::ptr_eq(&before.keys, keys) && *before.providers == *providers {
            return Arc::clone(before);
        }
        let known =
            |index: Option<usize>| index.and_then(|index| before.last.get(index)).map_or(0, |last| last.load(Relaxed));
        let of_keys = keys.keys().iter().map(|key| known(before.keys.by_id(&key.id).map(|(index, _)| index)));
        let of_providers = providers.iter().map(|name| {
            let place = before.providers.iter().position(|known| known == name);
            known(place.map(|place| before.keys.keys().len() + place))
        });
        let last = of_keys.chain(of_providers).map(AtomicU32::new).collect();
        Arc::new(Self { keys: Arc::clone(keys), providers: providers.into(), last })
    }

    /// Notes that the caller with that index called in that second.
    pub(crate) fn note(&self, caller: u32, second: u32) {
        let Some(last) = self.last.get(caller as usize) else { return };
        // Most requests come in a second of which it is known already.
        if last.load(Relaxed) != second.saturating_add(1) {
            last.store(second.saturating_add(1), Relaxed);
        }
    }

    /// The second in which the key with that index was last used.
    pub(crate) fn last(&self, key: usize) -> Option<u32> {
        self.last.get(key)?.load(Relaxed).checked_sub(1)
    }

    /// The same of tokens of the identity provider with that index.
    pub(crate) fn last_of_provider(&self, provider: usize) -> Option<u32> {
        self.last(self.keys.keys().len() + provider)
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
        let named = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<Vec<_>>();
        let first = KeyUse::after(&Arc::default(), &store(&["a", "b"]), named(&["staff", "guests"]));
        first.note(1, 7);
        first.note(3, 8);
        first.note(9, 7);
        assert_eq!((first.last(0), first.last(1), first.last(9)), (None, Some(7), None));
        assert_eq!((first.last_of_provider(0), first.last_of_provider(1)), (None, Some(8)));
        let second = KeyUse::after(&first, &store(&["b", "c", "d"]), named(&["guests"]));
        assert_eq!((second.last(0), second.last(1), second.last_of_provider(0)), (Some(7), None, Some(8)));
        assert!(Arc::ptr_eq(&second, &KeyUse::after(&second, &second.keys, named(&["guests"]))));
        assert!(!Arc::ptr_eq(&second, &KeyUse::after(&second, &second.keys, named(&[]))));
    }
}
