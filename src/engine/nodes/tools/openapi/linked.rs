//! A document that is read at its address when somebody first asks for its tools.

use std::sync::Arc;

use tokio::sync::OnceCell;
use url::Url;

use super::DocumentTools;
use crate::engine::compile::context::Need;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Tool;
use crate::engine::contract::run::Run;
use crate::engine::contract::toolset::{ToolServer, Toolset};
use crate::engine::provider::Targets;
use crate::engine::provider::web::{WebReader, WebRequest, web_address};

const INPUT: &str = "openApiLink";
const MOST_BYTES: usize = 8 << 20;

/// The toolkit of an address that the author fixed.
pub(super) fn part(inputs: &mut Inputs<'_, '_, '_>, of: DocumentTools) -> Option<Part> {
    let link = inputs.required_text(INPUT)?;
    if inputs.is_settled(INPUT) {
        inputs.refuse(INPUT, "only the flow's own author can write this; it cannot be filled in");
        return None;
    }
    let url = web_address(&link).map_err(|problem| inputs.refuse(INPUT, problem)).ok()?;
    let targets = Arc::clone(&inputs.compiler.context.targets);
    let reader = WebReader::new(&targets);
    if let Some(host) = reader.denied(&url) {
        inputs.compiler.miss(inputs.node, Need::Network { host });
    }
    let document = LinkedDocument { reader, url, targets, of, tools: OnceCell::new() };
    Some(Part::Tools(Toolset::server(document)))
}

#[derive(Debug)]
struct LinkedDocument {
    reader: WebReader,
    url: Url,
    targets: Arc<Targets>,
    of: DocumentTools,
    /// Once it was read.
    tools: OnceCell<Vec<Arc<dyn Tool>>>,
}

impl LinkedDocument {
    async fn read(&self, run: &Run<'_>) -> Result<Vec<Arc<dyn Tool>>, Failure> {
        let answer = self.reader.ask(&self.url, WebRequest::default(), MOST_BYTES, run).await?;
        if !answer.status.is_success() {
            let status = answer.status.as_u16();
            return Err(Failure::Refused(format!(
                "Failed to load the OpenAPI document: it was answered with {status}"
            )));
        }
        run.budget().has_room(answer.body.len())?;
        let made = self.of.made(&answer.text(), &self.targets, |_| {});
        made.map_err(|problem| Failure::flow(format!("Failed to load the OpenAPI document: {problem}")))
    }
}

impl ToolServer for LinkedDocument {
    fn tools<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Arc<dyn Tool>>> {
        Box::pin(async move { self.tools.get_or_try_init(|| self.read(run)).await.cloned() })
    }
}
