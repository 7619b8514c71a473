//! What a proxy is told that may forward a request: who calls what, and what Flowise is to be shown.

use std::fmt::Write as _;

use http::Response;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::config::{Chatflow, Events, ResponseShape};
use crate::policy::Backend;
use crate::stack::context::{AuthorizedCall, Context};
use crate::stack::routes::{Endpoint, FlowCall, Route};
use crate::wire::body::Body;
use crate::wire::refusal::{Refusal, Rule};

const KEY: HeaderName = HeaderName::from_static("x-flowgate-key");
const CHATFLOW: HeaderName = HeaderName::from_static("x-flowgate-chatflow");
const SUBJECT: HeaderName = HeaderName::from_static("x-flowgate-subject");
const PATH: HeaderName = HeaderName::from_static("x-flowgate-path");
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What every decision has.
pub(super) const FIELDS: [HeaderName; 6] = [KEY, CHATFLOW, SUBJECT, PATH, AUTHORIZATION, X_API_KEY];

/// The decision about a call that may be made and is within its limits.
pub(in crate::stack) fn decide(authorized: &AuthorizedCall) -> Result<Response<Body>, Refusal> {
    let context = authorized.context();
    let (authorized_flow, id) = authorized.flow()?;
    let Backend::Flowise { credentials } = authorized_flow.backend() else {
        return Err(Rule::ExtAuthChatflow.refuse(
            "This chatflow is answered by the gateway itself: its calls go to the gateway, not to a server that it decides for.",
        ));
    };
    if context.endpoint() == Some(Endpoint::PREDICTION) {
        check_kept(context, &authorized_flow.flow().config)?;
    }
    let route = context.route.get().ok_or(Refusal::NotFound)?;
    let mut response = Response::new(Body::Empty);
    let headers = response.headers_mut();
    let person = context.person().map(|person| &*person.subject);
    let subject = context.token.get().and_then(|token| token.subject.as_deref()).or(person);
    for (name, value) in [
        (KEY, context.caller_index().map(|_| shown(context.key_label()))),
        (CHATFLOW, Some(shown(context.chatflow_name()))),
        (SUBJECT, subject.map(shown)),
        (PATH, Some(format!("{}{id}", route.path.literal))),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    let passes_key = context.snapshot.config.server.ext_auth.is_some_and(|ext_auth| ext_auth.pass_upstream_key);
    if let Some(credentials) = credentials.as_ref().filter(|_| passes_key) {
        headers.extend(credentials.values());
    }
    Ok(response)
}

/// Refuses what would silently not hold, since nothing of the body is read here and nothing of the answer.
fn check_kept(context: &Context, chatflow: &Chatflow) -> Result<(), Refusal> {
    let (key, person) = (context.key(), context.person());
    if key.is_none() && person.is_none() {
        return Err(Rule::ExtAuthChatflow
            .refuse("Without a key this chatflow can be called through the gateway only, which reads what is sent."));
    }
    let token = context.token.get();
    let has_vars = key.is_some_and(|key| !key.vars.is_empty()) || person.is_some_and(|person| !person.vars.is_empty());
    if has_vars || token.is_some_and(|token| !token.vars.is_empty() || token.session_id.is_some()) {
        return Err(Rule::ForcedVars
            .refuse("This caller's variables or session cannot be set here: the body is forwarded unread."));
    }
    let lost = [
        ("vars", !chatflow.vars.is_empty()),
        ("force_override", !chatflow.force_override.is_empty()),
        ("response", chatflow.response != ResponseShape::Flowise),
        ("events", chatflow.events != Events::All),
    ];
    match lost.into_iter().find(|(_, is_lost)| *is_lost) {
        None => Ok(()),
        Some((field, _)) => Err(Rule::ExtAuthChatflow.refuse(format!(
            "This chatflow's {field} would not hold here: it can be called through the gateway only."
        ))),
    }
}

/// Whether a route can be decided about: the gateway neither answers it itself nor checks or changes what is in it.
pub(in crate::stack) fn may_decide(route: &Route) -> bool {
    route.shape.is_none()
        && matches!(route.endpoint, Endpoint::Flow(FlowCall::Prediction | FlowCall::Streaming | FlowCall::Upsert))
}

/// A name as it stands in a header: visible ASCII as it is, but for `%`, and all else percent-encoded.
fn shown(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_can_be_shown_and_told_from_others() {
        assert_eq!(shown("ann@example.com"), "ann@example.com");
        assert_eq!(shown("Ann Müller %41"), "Ann%20M%C3%BCller%20%2541");
    }
}
