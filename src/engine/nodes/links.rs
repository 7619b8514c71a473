//! Documents that lie at an address which a flow's author wrote, read when somebody first needs them.

use url::Url;

use crate::engine::compile::context::Need;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::provider::web::{WebReader, WebRequest, web_address};

const MOST_BYTES: usize = 8 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct DocumentLink {
    reader: WebReader,
    url: Url,
}

impl DocumentLink {
    /// The address in an input, which must be there.
    pub(crate) fn of(inputs: &mut Inputs<'_, '_, '_>, input: &str) -> Option<Self> {
        let link = inputs.required_text(input)?;
        if inputs.refuse_settled(input) {
            return None;
        }
        let url = web_address(&link).map_err(|problem| inputs.refuse_address(input, &link, problem)).ok()?;
        let reader = WebReader::new(&inputs.compiler.context.targets);
        if let Some(host) = reader.denied(&url) {
            inputs.compiler.miss(inputs.node, Need::Network { host });
        }
        Some(Self { reader, url })
    }

    /// What is made of the document, beside the runs of the thread: it may be long.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        run: &Run<'_>,
        made: impl FnOnce(&str) -> Result<T, String> + Send + 'static,
    ) -> Result<T, Failure> {
        let answer = self.reader.ask(&self.url, WebRequest::default(), MOST_BYTES, run).await?;
        if !answer.status.is_success() {
            let status = answer.status.as_u16();
            return Err(Failure::Refused(format!(
                "Failed to load the OpenAPI document: it was answered with {status}"
            )));
        }
        run.budget().has_room(answer.body.len())?;
        let made = tokio::task::spawn_blocking(move || made(&answer.text())).await;
        let made = made.map_err(|_| Failure::flow("the OpenAPI document cannot be read"))?;
        made.map_err(|problem| Failure::flow(format!("Failed to load the OpenAPI document: {problem}")))
    }
}
