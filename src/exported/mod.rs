//! What Flowise exports, as it lies in files: texts in any of their encodings, and the records that containers hold.
//!
//! A container is the file of *Settings ▸ Export*, of 2.x or of 3.x, or what Flowise's API answers: records of flows in a
//! list, or one by itself. Records are read leniently: what is of no use stays out, and nothing in one loses another.

mod record;
mod section;
mod stray;
mod text;

pub(crate) use record::{FlowRecord, MessageRecord, VariableRecord};
pub(crate) use section::{Container, flows_in, is_container, is_single, read, unwrapped};
pub(crate) use text::decoded;
