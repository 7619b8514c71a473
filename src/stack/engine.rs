//! Calls to the built-in engine.

use std::rc::Rc;
use std::sync::Arc;

use http::Response;

use super::body::check_body;
use super::context::Context;
use super::environment::Environment;
use crate::engine;
use crate::predict::answer::View;
use crate::snapshot::Flow;
use crate::wire::body::Body;
use crate::wire::client_body::ClientBody;
use crate::wire::refusal::Refusal;

/// One call to one chatflow that the engine runs.
pub(super) struct EngineCall<'a> {
    pub(super) environment: &'a Environment,
    pub(super) context: &'a Rc<Context>,
    pub(super) flow: &'a Flow,
    /// What Flowise would know the chatflow by.
    pub(super) id: &'a Arc<str>,
    pub(super) local: &'a Arc<engine::Flow>,
    /// All that it may run.
    pub(super) flows: &'a Arc<engine::FlowIndex>,
}

impl EngineCall<'_> {
    pub(super) async fn predict(&self, body: ClientBody) -> Result<Response<Body>, Refusal> {
        let Self { environment, context, flow, id, local, flows } = *self;
        let prediction = check_body(body, flow, context).await?;
        let chat = &prediction.ids.chat.upstream;
        let lease = environment.chats.enter(&self.place(), chat, prediction.streaming).ok_or(Refusal::ChatBusy)?;
        let surroundings = engine::Surroundings {
            threads: &environment.engine,
            config: &context.snapshot.config,
            flows,
            id,
            chatflow: &flow.config.name,
            cut: &environment.cut,
            report: &context.stream,
            models: &context.models,
            namespace: context.namespace(),
            redactor: &context.snapshot.redactor,
            view: View::new(&flow.config, &prediction.ids),
            lease,
        };
        engine::answer(local, prediction, surroundings).await
    }

    /// Ends what runs for that chat.
    pub(super) fn abort(&self, chat: &str) {
        self.environment.chats.abort(&self.place(), chat);
    }

    /// Where the engine runs the chatflow's chats; no upstream's name.
    fn place(&self) -> String {
        format!("engine/{}", self.id)
    }
}
