//! What memory nodes have in common: where a chat's words are kept, here or elsewhere.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::part::Part;
use crate::engine::contract::history::{HistoryStrategy, Memory};
use crate::engine::provider::ProviderEndpoint;

/// For an answer of a memory that is kept elsewhere.
const PATIENCE: Duration = Duration::from_secs(20);

/// The flow's exchanges are kept in the engine's own memory.
pub(super) fn kept_here(inputs: &mut Inputs<'_, '_, '_>) {
    passed_over(inputs);
    inputs.compiler.remembers = true;
}

/// Every request that comes through the gateway names its session, which counts before the node's: one session for all
/// who talk to a flow would show each what the others said.
pub(super) fn passed_over(inputs: &mut Inputs<'_, '_, '_>) {
    inputs.ignore(&["sessionId", "memoryKey"]);
}

/// A memory that remembers in its own way.
pub(super) fn kept_by(inputs: &mut Inputs<'_, '_, '_>, by: impl HistoryStrategy + 'static) -> Part {
    let label = inputs.node.data.label.clone();
    let by: Arc<dyn HistoryStrategy> = Arc::new(by);
    Part::Memory(Arc::new(Memory { by: Some(by), ..Memory::verbatim(label, None) }))
}

/// Where a memory is kept that is reached by HTTP; what may not be called is noted.
pub(super) fn outward(inputs: &mut Inputs<'_, '_, '_>, input: &str, url: &str) -> Option<ProviderEndpoint> {
    match inputs.compiler.context.targets.outward(url, Some(PATIENCE)) {
        Ok(endpoint) => {
            inputs.look_at(&endpoint);
            Some(endpoint)
        }
        Err(error) => {
            inputs.refuse(input, error);
            None
        }
    }
}
