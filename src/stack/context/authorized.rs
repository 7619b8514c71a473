//! A call whose caller may make it. What that takes, the policy says.

use std::rc::Rc;
use std::sync::Arc;

use super::Context;
use crate::policy::{Authorized, AuthorizedName, Flow, Principal};
use crate::wire::refusal::Refusal;

/// Made by [`authorize`] alone, and the only way to what answers a chatflow.
pub(crate) struct AuthorizedCall {
    context: Rc<Context>,
    name: AuthorizedName,
}

impl AuthorizedCall {
    pub(crate) fn context(&self) -> &Rc<Context> {
        &self.context
    }

    /// The chatflow, and the id that Flowise knows it by.
    pub(crate) fn flow(&self) -> Result<(Authorized<&Arc<Flow>>, &Arc<str>), Refusal> {
        let flow = self.context.snapshot.authorized(&self.name).ok_or(Refusal::NotFound)?;
        let chatflow = self.context.chatflow.get().ok_or(Refusal::NotFound)?;
        Ok((flow, &chatflow.id))
    }
}

/// Whether the caller may call the route's chatflow from where it calls, or the route itself where it names none.
pub(crate) fn authorize(context: &Rc<Context>) -> Result<AuthorizedCall, Refusal> {
    let route = context.route.get().ok_or(Refusal::NotFound)?;
    let principal = Principal {
        key: context.key(),
        token: context.token.get().map(|token| &**token),
        person: context.person(),
        address: context.client,
        origin: context.origin.as_ref(),
        only_reads: context.method.is_safe(),
    };
    let name = context.snapshot.authorize(&principal, route.callers, context.chatflow.get())?;
    Ok(AuthorizedCall { context: Rc::clone(context), name })
}
