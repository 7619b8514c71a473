//! A document that is read at its address when somebody first asks for its tools.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::DocumentTools;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Tool;
use crate::engine::contract::run::Run;
use crate::engine::contract::toolset::{ToolServer, Toolset};
use crate::engine::nodes::links::DocumentLink;
use crate::engine::provider::Targets;

/// The toolkit of an address that the author fixed.
pub(super) fn part(inputs: &mut Inputs<'_, '_, '_>, of: DocumentTools) -> Option<Part> {
    let link = DocumentLink::of(inputs, "openApiLink")?;
    let targets = Arc::clone(&inputs.compiler.context.targets);
    Some(Part::Tools(Toolset::server(LinkedDocument { link, targets, of: Arc::new(of), tools: OnceCell::new() })))
}

#[derive(Debug)]
struct LinkedDocument {
    link: DocumentLink,
    targets: Arc<Targets>,
    of: Arc<DocumentTools>,
    /// Once it was read.
    tools: OnceCell<Vec<Arc<dyn Tool>>>,
}

impl LinkedDocument {
    async fn read(&self, run: &Run<'_>) -> Result<Vec<Arc<dyn Tool>>, Failure> {
        let (of, targets) = (Arc::clone(&self.of), Arc::clone(&self.targets));
        self.link.read(run, move |text| of.made(text, &targets, |_| {})).await
    }
}

impl ToolServer for LinkedDocument {
    fn tools<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Arc<dyn Tool>>> {
        Box::pin(async move { self.tools.get_or_try_init(|| self.read(run)).await.cloned() })
    }
}
