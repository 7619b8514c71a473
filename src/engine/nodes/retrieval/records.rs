//! Record managers, which know what was put into a vector store before. Nothing is asked of them: searching needs none, and
//! what is put in is added.

use std::sync::Arc;

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[&RecordManager];

struct RecordManager;

impl NodeKind for RecordManager {
    fn names(&self) -> &'static [&'static str] {
        &["postgresRecordManager", "MySQLRecordManager", "SQLiteRecordManager"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        for name in inputs.names_with("") {
            inputs.ignore(&[&name]);
        }
        Some(Part::Own(Arc::new(())))
    }
}
