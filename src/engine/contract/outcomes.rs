//! What nodes have made of one request: a node that several others refer to runs once.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::Value;

/// See the module. By the node's id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcomes(RefCell<HashMap<String, Value>>);

impl Outcomes {
    pub(crate) fn get(&self, id: &str) -> Option<Value> {
        self.0.borrow().get(id).cloned()
    }

    pub(crate) fn put(&self, id: &str, value: Value) {
        self.0.borrow_mut().insert(id.to_owned(), value);
    }
}
