//! The way to what answers a chatflow, which only an authorized call has.

use super::context::AuthorizedCall;
use super::engine::EngineCall;
use super::environment::Environment;
use super::flowise::FlowiseCall;
use crate::policy::Backend;
use crate::wire::refusal::Refusal;

/// One call to what answers a chatflow, for who is authorized.
pub(super) enum BackendCall<'a> {
    Flowise(FlowiseCall<'a>),
    Engine(EngineCall<'a>),
}

impl<'a> BackendCall<'a> {
    pub(super) fn new(environment: &'a Environment, authorized: &'a AuthorizedCall) -> Result<Self, Refusal> {
        let (authorized_flow, id) = authorized.flow()?;
        let flow = authorized_flow.flow();
        let context = authorized.context();
        Ok(match authorized_flow.backend() {
            Backend::Flowise { credentials } => {
                let target = context.snapshot.target(&authorized_flow).ok_or(Refusal::NotFound)?;
                let credentials = credentials.as_ref();
                Self::Flowise(FlowiseCall { environment, context, flow, id, target, credentials })
            }
            Backend::Engine { flow: local, flows } => {
                Self::Engine(EngineCall { environment, context, flow, id, local, flows })
            }
        })
    }
}
