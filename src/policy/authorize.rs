//! Who may call which chatflow: asked here, and nowhere else.
//!
//! Who it is, others have found out; what may be called, from where, is said here. A backend is given for an
//! [`Authorized`] alone, which nobody else makes.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderValue;

use super::{Backend, Flow, NamedChatflow, Person, Policy};
use crate::config::{Access, Origins};
use crate::keys::{Key, KeyKind, token::Claims};
use crate::wire::refusal::Refusal;

/// Who may call a route, as far as it does not hang on the chatflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Callers {
    /// Nobody is asked for a key.
    Anyone,
    /// A key or a token for the chatflow, or a page where it is public.
    Permitted,
    /// A secret key.
    Backends,
    /// A key with `upsert: true`.
    Upserters,
    /// A key or a token, whatever it may call.
    Known,
}

/// Who calls, by what it has shown, and from where.
pub(crate) struct Principal<'a> {
    pub(crate) key: Option<&'a Key>,
    /// What its token says, where it has shown one for the key.
    pub(crate) token: Option<&'a Claims>,
    /// Whom an identity provider vouches for; without a key.
    pub(crate) person: Option<&'a Person>,
    pub(crate) address: IpAddr,
    /// Of the page that calls.
    pub(crate) origin: Option<&'a HeaderValue>,
    /// The method changes nothing.
    pub(crate) only_reads: bool,
}

/// What its caller may have. Made by [`Policy::authorize`] alone.
#[derive(Debug)]
pub(crate) struct Authorized<T>(T);

/// A chatflow as it is named in this policy; none for a route that has none.
pub(crate) type AuthorizedName = Authorized<Option<u32>>;

impl Policy {
    /// Whether the caller may call the chatflow by that kind of route, or such a route itself where it names none.
    pub(crate) fn authorize(
        &self,
        principal: &Principal<'_>,
        callers: Callers,
        chatflow: Option<&NamedChatflow>,
    ) -> Result<AuthorizedName, Refusal> {
        if callers != Callers::Anyone {
            match (principal.key, principal.person) {
                (Some(key), _) => principal.check_key(key, callers, self.name_of(chatflow))?,
                (None, Some(person)) => check_person(person, callers, self.name_of(chatflow))?,
                (None, None) => principal.check_visitor(callers, self.flow_of(chatflow))?,
            }
        }
        Ok(Authorized(chatflow.map(|chatflow| chatflow.index)))
    }

    /// The chatflow that a call may reach.
    pub(crate) fn authorized(&self, Authorized(index): &AuthorizedName) -> Option<Authorized<&Arc<Flow>>> {
        self.flow((*index)?).map(Authorized)
    }

    /// What a token is to be made for: the chatflow of that name, if the key may call it, by the name that calls are
    /// measured by. `None`: there is none.
    pub(crate) fn mintable(&self, key: &Key, name: &str) -> Option<Result<String, Refusal>> {
        let chatflow = self.chatflow(name)?;
        // A UUID behind "*" is written in small letters.
        let is_wildcard = self.flow(chatflow.index).is_some_and(|flow| &*flow.config.name == "*");
        let name = if is_wildcard { &*chatflow.id } else { name };
        Some(if key.may_call(name) { Ok(name.to_owned()) } else { Err(Refusal::ChatflowNotAllowed) })
    }
}

impl<'a> Authorized<&'a Arc<Flow>> {
    pub(crate) fn flow(&self) -> &'a Arc<Flow> {
        self.0
    }

    pub(crate) fn backend(&self) -> &'a Backend {
        &self.0.backend
    }
}

/// Neither mints tokens nor writes documents: that is for backends.
fn check_person(person: &Person, callers: Callers, chatflow: &str) -> Result<(), Refusal> {
    match callers {
        Callers::Backends => Err(Refusal::ChatflowNotAllowed),
        Callers::Permitted | Callers::Upserters if !person.may_call(chatflow) => Err(Refusal::ChatflowNotAllowed),
        Callers::Anyone | Callers::Known | Callers::Permitted => Ok(()),
        Callers::Upserters => Err(Refusal::UpsertNotAllowed),
    }
}

impl Principal<'_> {
    fn check_key(&self, key: &Key, callers: Callers, chatflow: &str) -> Result<(), Refusal> {
        let mints = callers == Callers::Backends;
        let calls = !matches!(callers, Callers::Backends | Callers::Known);
        if let Some(token) = self.token {
            // Not the key's addresses: those are the backend's, and a token is for a visitor.
            if mints || (calls && token.chatflow != chatflow) {
                return Err(Refusal::ChatflowNotAllowed);
            }
            if let Some(origin) = &token.origin
                && self.origin.is_none_or(|sent| sent.as_bytes() != origin.as_bytes())
            {
                return Err(Refusal::OriginNotAllowed);
            }
        } else if !key.allows(self.address) {
            return Err(Refusal::AddressNotAllowed);
        }
        if key.kind == KeyKind::Publishable {
            if !key.allowed_origins().is_some_and(|origins| self.is_from(origins)) {
                return Err(Refusal::OriginNotAllowed);
            }
            if mints {
                return Err(Refusal::ChatflowNotAllowed);
            }
        }
        if calls && !key.may_call(chatflow) {
            return Err(Refusal::ChatflowNotAllowed);
        }
        // A page is no place to write documents from, whatever the key that its token descends from may do.
        if callers == Callers::Upserters && (!key.upsert || self.token.is_some()) {
            return Err(Refusal::UpsertNotAllowed);
        }
        Ok(())
    }

    /// Nobody in particular: on a public chatflow, from a listed page. Browsers leave `Origin` out of a GET to a page's
    /// own origin and of images, and such a request changes nothing.
    fn check_visitor(&self, callers: Callers, flow: Option<&Arc<Flow>>) -> Result<(), Refusal> {
        let flow = flow.filter(|flow| flow.config.access == Access::Public).ok_or(Refusal::MissingKey)?;
        if callers != Callers::Permitted {
            return Err(Refusal::MissingKey);
        }
        let is_harmless = self.origin.is_none() && self.only_reads;
        if is_harmless || self.is_from(&flow.config.allowed_origins) {
            return Ok(());
        }
        Err(if self.origin.is_none() { Refusal::NoOrigin } else { Refusal::OriginNotAllowed })
    }

    fn is_from(&self, origins: &Origins) -> bool {
        self.origin.and_then(|origin| origin.to_str().ok()).is_some_and(|origin| origins.allows(origin))
    }
}
