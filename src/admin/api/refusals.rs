//! `GET /api/refusals`: the last requests that were refused or failed, the newest first. `?id=` asks for one request.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::super::overview::Overview;
use super::telling::asked;
use crate::state::recent::RefusalEntry;

#[derive(Serialize)]
pub(super) struct RefusalList {
    #[serde(serialize_with = "each")]
    refusals: Vec<Arc<RefusalEntry>>,
}

fn each<S: Serializer>(entries: &[Arc<RefusalEntry>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(entries.iter().map(|entry| &**entry))
}

pub(super) fn list(overview: &Overview, query: &str) -> RefusalList {
    let mut refusals = overview.state.recent.refusals.all();
    if let Some(id) = asked(query, "id").filter(|id| !id.is_empty()) {
        refusals.retain(|entry| &*entry.request_id == id);
    }
    RefusalList { refusals }
}
