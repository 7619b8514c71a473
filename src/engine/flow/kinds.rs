//! Every kind of node of the first generation. Those of the second are the agentflow's own.

use crate::engine::compile::kind::Kinds;
use crate::engine::{models, nodes};

pub(crate) const KINDS: Kinds = Kinds { families: nodes::KINDS, models: models::KINDS };
