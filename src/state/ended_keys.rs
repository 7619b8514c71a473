//! Keys that have ended together with their running streams, by id.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

/// See the module. Of the policy that was bound last.
#[derive(Debug)]
pub(crate) struct EndedKeys {
    ids: ArcSwap<BTreeSet<Box<str>>>,
    changed: watch::Sender<()>,
}

impl Default for EndedKeys {
    fn default() -> Self {
        Self { ids: ArcSwap::default(), changed: watch::channel(()).0 }
    }
}

impl EndedKeys {
    pub(crate) fn set<'a>(&self, ids: impl Iterator<Item = &'a str>) {
        let ids: BTreeSet<Box<str>> = ids.map(Box::from).collect();
        if **self.ids.load() != ids {
            self.ids.store(Arc::new(ids));
            self.changed.send_replace(());
        }
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.ids.load().contains(id)
    }

    /// Tells of each change.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_listens_hears_of_a_change_and_of_nothing_else() {
        let keys = EndedKeys::default();
        let mut changes = keys.changes();
        keys.set([].into_iter());
        assert!(!changes.has_changed().unwrap() && !keys.has("a"));
        keys.set(["a"].into_iter());
        assert!(changes.has_changed().unwrap() && keys.has("a") && !keys.has("b"));
        changes.mark_unchanged();
        keys.set(["a"].into_iter());
        assert!(!changes.has_changed().unwrap());
    }
}
