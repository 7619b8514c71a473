//! The current snapshot, as threads share it and as each worker sees it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Snapshot;

/// The current snapshot, for all threads.
pub(crate) type Shared = Arc<ArcSwap<Snapshot>>;

/// One worker's share of a snapshot: cloned without touching a counter that other workers touch.
#[derive(Debug, Clone)]
pub(crate) struct Local(Rc<Held>);

#[derive(Debug)]
struct Held(Arc<Snapshot>);

impl Local {
    fn new(snapshot: Arc<Snapshot>) -> Self {
        Self(Rc::new(Held(snapshot)))
    }
}

impl std::ops::Deref for Local {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0.0
    }
}

/// One worker's view of the current snapshot.
pub(crate) struct Reader {
    shared: Shared,
    mine: RefCell<Local>,
}

impl Reader {
    pub(crate) fn new(shared: Shared) -> Self {
        let mine = RefCell::new(Local::new(shared.load_full()));
        Self { shared, mine }
    }

    /// To be called once per request, by the outermost layer.
    pub(crate) fn current(&self) -> Local {
        let now = self.shared.load();
        let mut mine = self.mine.borrow_mut();
        if !Arc::ptr_eq(&now, &mine.0.0) {
            *mine = Local::new(Arc::clone(&now));
        }
        mine.clone()
    }
}
