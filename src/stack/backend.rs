//! The way to what answers a chatflow, which only an authorized call has.

use super::context::Authorized;
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
    pub(super) fn new(environment: &'a Environment, authorized: &'a Authorized) -> Result<Self, Refusal> {
        let (flow, id) = authorized.flow()?;
        let context = authorized.context();
        Ok(match &flow.backend {
            Backend::Flowise { credentials } => {
                let target = context.snapshot.target(flow).ok_or(Refusal::NotFound)?;
                let credentials = credentials.as_ref();
                Self::Flowise(FlowiseCall { environment, context, flow, id, target, credentials })
            }
            Backend::Engine { flow: local, flows } => {
                Self::Engine(EngineCall { environment, context, flow, id, local, flows })
            }
        })
    }
}
