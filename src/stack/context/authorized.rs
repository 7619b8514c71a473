//! Who may call which chatflow: asked here, and nowhere else.
//!
//! First who it is, which `auth` has found out; then what may be called, from where.

use std::rc::Rc;
use std::sync::Arc;

use super::super::routes::Callers;
use super::Context;
use crate::config::{Access, Origins};
use crate::keys::{Key, Kind};
use crate::policy::Flow;
use crate::wire::refusal::Refusal;

/// A call whose caller may make it. Made by [`authorize`] alone, and the only way to what answers a chatflow.
pub(crate) struct Authorized(Rc<Context>);

impl Authorized {
    pub(crate) fn context(&self) -> &Rc<Context> {
        &self.0
    }

    /// The chatflow, and the id that Flowise knows it by.
    pub(crate) fn flow(&self) -> Result<(&Arc<Flow>, &Arc<str>), Refusal> {
        let (index, id) = self.0.chatflow.0.get().ok_or(Refusal::NotFound)?;
        let flow = self.0.snapshot.flow(*index).ok_or(Refusal::NotFound)?;
        Ok((flow, id))
    }
}

/// Whether the caller may call the route's chatflow from where it calls, or the route itself where it names none.
pub(crate) fn authorize(context: &Rc<Context>) -> Result<Authorized, Refusal> {
    let callers = context.route.get().ok_or(Refusal::NotFound)?.callers;
    if callers != Callers::Anyone {
        match context.key() {
            Some(key) => check_key(context, key, callers)?,
            None => check_visitor(context, callers)?,
        }
    }
    Ok(Authorized(Rc::clone(context)))
}

/// What a token is to be made for: the chatflow of that name, if the key may call it, by the name that calls are measured
/// by.
pub(crate) fn mintable(context: &Context, key: &Key, name: String) -> Result<String, Refusal> {
    let (index, id) = context.snapshot.chatflow(&name).ok_or_else(|| context.unknown_chatflow())?;
    let flow = context.snapshot.flow(index).ok_or(Refusal::NotFound)?;
    // A UUID behind "*" is written in small letters.
    let name = if &*flow.config.name == "*" { String::from(&*id) } else { name };
    if key.may_call(&name) { Ok(name) } else { Err(Refusal::ChatflowNotAllowed) }
}

fn check_key(context: &Context, key: &Key, callers: Callers) -> Result<(), Refusal> {
    let mints = callers == Callers::Backends;
    if let Some(token) = context.token.get() {
        // Not the key's addresses: those are the backend's, and a token is for a visitor.
        if mints || *token.chatflow != *context.chatflow_name() {
            return Err(Refusal::ChatflowNotAllowed);
        }
        if let Some(origin) = &token.origin
            && context.origin.as_ref().is_none_or(|sent| sent.as_bytes() != origin.as_bytes())
        {
            return Err(Refusal::OriginNotAllowed);
        }
    } else if !key.allows(context.client) {
        return Err(Refusal::AddressNotAllowed);
    }
    if key.kind == Kind::Publishable {
        if !key.allowed_origins().is_some_and(|origins| origin_is_listed(context, origins)) {
            return Err(Refusal::OriginNotAllowed);
        }
        if mints {
            return Err(Refusal::ChatflowNotAllowed);
        }
    }
    if !mints && !key.may_call(context.chatflow_name()) {
        return Err(Refusal::ChatflowNotAllowed);
    }
    // A page is no place to write documents from, whatever the key that its token descends from may do.
    if callers == Callers::Upserters && (!key.upsert || context.token.get().is_some()) {
        return Err(Refusal::UpsertNotAllowed);
    }
    Ok(())
}

/// Nobody in particular: on a public chatflow, from a listed page. Browsers leave `Origin` out of a GET to a page's
/// own origin and of images, and such a request changes nothing.
fn check_visitor(context: &Context, callers: Callers) -> Result<(), Refusal> {
    let policy = context.policy().filter(|policy| policy.access == Access::Public).ok_or(Refusal::MissingKey)?;
    if callers != Callers::Permitted {
        return Err(Refusal::MissingKey);
    }
    let is_harmless = context.origin.is_none() && context.method.is_safe();
    if is_harmless || origin_is_listed(context, &policy.allowed_origins) {
        return Ok(());
    }
    Err(Refusal::OriginNotAllowed)
}

fn origin_is_listed(context: &Context, origins: &Origins) -> bool {
    let origin = context.origin.as_ref().and_then(|origin| origin.to_str().ok());
    origin.is_some_and(|origin| origins.allows(origin))
}
