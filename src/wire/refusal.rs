//! Every way in which the gateway says no, and the only place where that becomes a response.
//!
//! One shape, readable by Flowise's own clients (`message`, `statusCode`, `success`) and by everybody else
//! (`error`, `code`). What a client reads never carries a source error, an upstream address or a key.

mod code;
mod rule;

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, Response, StatusCode};

use super::body::Body;
use super::event_stream;
use super::pace::Slowness;
use crate::redact::Sentence;

pub(crate) use code::Code;
pub(crate) use rule::Rule;

/// Why a request is not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Malformed, ambiguous or forbidden; made by [`Rule::refuse`].
    Invalid(Rule, Cow<'static, str>),
    MissingKey,
    /// Unknown, expired and disabled keys look alike; the reason is for the metric.
    InvalidKey(KeyFault),
    /// A token of an identity provider that does not count, for one answer whatever the reason is.
    InvalidToken {
        /// Who sends it may be trying.
        is_guess: bool,
    },
    /// A token of an identity provider whose keys could not be read yet.
    IdentityUnavailable,
    ChatflowNotAllowed,
    AddressNotAllowed,
    /// The page that calls is not listed, or the request does not say which it is.
    OriginNotAllowed,
    /// The same of a caller who sent neither a credential nor an origin: a server with its key in a wrong place.
    NoOrigin,
    /// A key without the right to `vector/upsert`.
    UpsertNotAllowed,
    NotFound,
    /// No chatflow of that name, for those who may call them all.
    UnknownChatflow,
    /// No route, but nearly one; the sentence names it.
    NearRoute(String),
    /// The methods that this path answers.
    MethodNotAllowed(&'static str),
    /// The body came too slowly.
    RequestTimeout(Slowness),
    /// A second stream for a chat that is being answered.
    ChatBusy,
    /// The sentence names the bound and its setting, see [`BodyLimit::exceeded`].
    BodyTooLarge(String),
    /// The sentence names what this route takes.
    UnsupportedMediaType(&'static str),
    /// The sentence names the bound and its setting.
    HeadersTooLarge(String),
    /// Seconds until the next request is accepted, at least 1.
    RateLimited {
        retry_after: u64,
    },
    TooManyConcurrent,
    /// The built-in engine has as many runs to begin as it takes.
    EngineBusy,
    /// The store that replicas share is lost, and only it knows what is left.
    StateUnavailable,
    /// Seconds until the next day or month, at least 1.
    QuotaExceeded {
        retry_after: u64,
    },
    /// The same of tokens.
    TokensExceeded {
        retry_after: u64,
    },
    /// Too many wrong credentials from one address; seconds until one is looked at again, at least 1.
    TooManyFailures {
        retry_after: u64,
    },
    UpstreamError(&'static str),
    UpstreamUnavailable,
    UpstreamTimeout,
    /// The flow itself failed: Flowise's status and its message without what must not leave.
    Flow {
        status: StatusCode,
        message: Sentence,
        retry_after: Option<HeaderValue>,
    },
}

/// What is wrong with a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFault {
    /// `Authorization` holds it bare.
    NoScheme,
    /// `Authorization` names another scheme than `Bearer`.
    OtherScheme,
    /// It cannot be a key.
    Malformed,
    Unknown,
    Expired,
    Disabled,
}

impl KeyFault {
    /// As the metric shows it.
    const fn name(self) -> &'static str {
        match self {
            Self::NoScheme => "no_scheme",
            Self::OtherScheme => "scheme",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::NoScheme => {
                "The header Authorization must have the word Bearer before the key: Authorization: Bearer <key>."
            }
            Self::OtherScheme => {
                "Authorization is understood with the word Bearer only: send the key as Authorization: Bearer <key>, or \
                 as X-API-KEY."
            }
            Self::Malformed | Self::Unknown | Self::Expired | Self::Disabled => "The API key is not valid.",
        }
    }

    /// Whether who sends such a key may be guessing: one that has expired was right once.
    pub(crate) const fn is_guess(self) -> bool {
        !matches!(self, Self::Expired)
    }
}

impl Refusal {
    /// A field that the call does not have; its name as it may be shown.
    pub(crate) fn unknown_field(shown: &str) -> Self {
        Rule::UnknownField.refuse(format!("The field {shown} is not known."))
    }

    /// A field that holds something else than it must.
    pub(crate) fn field_type(name: &str, expected: &str) -> Self {
        Rule::FieldType.refuse(format!("The field {name} must be {expected}."))
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Flow { status, .. } => *status,
            refusal => refusal.code().status(),
        }
    }

    /// The stable word for programs.
    pub(crate) fn code(&self) -> Code {
        self.reason().map_or_else(|code| code, Rule::code)
    }

    /// The rule that `flowgate_rejected_total` counts; `None` where another metric tells more.
    pub(crate) fn rule(&self) -> Option<Rule> {
        self.reason().ok()
    }

    /// The rule that says no, or the code of what no rule has decided.
    fn reason(&self) -> Result<Rule, Code> {
        match self {
            Self::Invalid(rule, _) => Ok(*rule),
            Self::ChatflowNotAllowed => Ok(Rule::ChatflowScope),
            Self::AddressNotAllowed => Ok(Rule::AddressScope),
            Self::OriginNotAllowed | Self::NoOrigin => Ok(Rule::Origin),
            Self::UpsertNotAllowed => Ok(Rule::UpsertScope),
            Self::NotFound | Self::UnknownChatflow | Self::NearRoute(_) => Ok(Rule::UnknownRoute),
            Self::MethodNotAllowed(_) => Ok(Rule::Method),
            Self::ChatBusy => Ok(Rule::ChatBusy),
            Self::EngineBusy => Ok(Rule::EngineBusy),
            Self::IdentityUnavailable => Ok(Rule::IdentityUnavailable),
            Self::StateUnavailable => Ok(Rule::StateUnavailable),
            Self::BodyTooLarge(_) => Ok(Rule::BodySize),
            Self::RequestTimeout(Slowness::Silence) => Ok(Rule::RequestTimeout),
            Self::RequestTimeout(Slowness::Time) => Ok(Rule::BodyTime),
            Self::RequestTimeout(Slowness::Rate) => Ok(Rule::BodyRate),
            Self::UnsupportedMediaType(_) => Ok(Rule::MediaType),
            Self::HeadersTooLarge(_) => Ok(Rule::HeadSize),
            Self::MissingKey => Err(Code::MissingApiKey),
            Self::InvalidKey(_) => Err(Code::InvalidApiKey),
            Self::InvalidToken { .. } => Err(Code::InvalidToken),
            Self::RateLimited { .. } | Self::TooManyFailures { .. } => Err(Code::RateLimited),
            Self::TooManyConcurrent => Err(Code::TooManyConcurrent),
            Self::QuotaExceeded { .. } => Err(Code::QuotaExceeded),
            Self::TokensExceeded { .. } => Err(Code::TokenQuotaExceeded),
            Self::UpstreamError(_) => Err(Code::UpstreamError),
            Self::UpstreamUnavailable => Err(Code::UpstreamUnavailable),
            Self::UpstreamTimeout => Err(Code::UpstreamTimeout),
            Self::Flow { status, .. } => Err(Code::of_flow(*status)),
        }
    }

    /// The sentence for people.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Invalid(_, message) => message,
            Self::MissingKey => "An API key is required: send it as X-API-KEY or as Authorization: Bearer.",
            Self::InvalidKey(fault) => fault.sentence(),
            Self::InvalidToken { .. } => "The token is not valid.",
            Self::IdentityUnavailable => "Tokens cannot be checked at the moment: please try again soon.",
            Self::ChatflowNotAllowed => "This API key may not use this chatflow.",
            Self::AddressNotAllowed => "This API key may not be used from this address.",
            Self::OriginNotAllowed => "This chat may not be used from this website.",
            Self::NoOrigin => {
                "Neither an API key nor a page's Origin was seen: a server sends its key as X-API-KEY or as \
                 Authorization: Bearer."
            }
            Self::UpsertNotAllowed => "This API key may not upsert documents: for that it needs `upsert: true`.",
            Self::NotFound => "There is nothing here.",
            Self::UnknownChatflow => "There is no chatflow of this name: its name is the one under `chatflows`.",
            Self::MethodNotAllowed(_) => "This method is not allowed here.",
            Self::RequestTimeout(Slowness::Silence) => "The rest of the request's body did not come in time.",
            Self::RequestTimeout(Slowness::Time) => "The request's body took too long to arrive.",
            Self::RequestTimeout(Slowness::Rate) => "The request's body came too slowly.",
            Self::ChatBusy => "This chat is being answered: please wait until it is done.",
            Self::RateLimited { .. } => "Too many requests: please wait a moment and try again.",
            Self::TooManyConcurrent => "Too many requests at once: please wait until one has ended.",
            Self::EngineBusy => "Too many chats are being answered: please try again in a moment.",
            Self::StateUnavailable => "Your limits cannot be looked up at the moment: please try again soon.",
            Self::QuotaExceeded { .. } => "The quota is used up: please try again in the next period.",
            Self::TokensExceeded { .. } => "The tokens are used up: please try again in the next period.",
            Self::TooManyFailures { .. } => "Too many requests with a wrong key from this address: please wait.",
            Self::UnsupportedMediaType(message) | Self::UpstreamError(message) => message,
            Self::UpstreamUnavailable => "The chatflow's server is not available at the moment.",
            Self::UpstreamTimeout => "The chatflow's server did not answer in time.",
            Self::NearRoute(message) | Self::BodyTooLarge(message) | Self::HeadersTooLarge(message) => message,
            Self::Flow { message, .. } => message.as_str(),
        }
    }

    /// The reason that `flowgate_auth_failures_total` counts, which the client is not told.
    pub(crate) fn auth_failure(&self) -> Option<&'static str> {
        match self {
            Self::MissingKey => Some("missing"),
            Self::InvalidKey(fault) => Some(fault.name()),
            Self::InvalidToken { .. } => Some("token"),
            Self::TooManyFailures { .. } => Some("throttled"),
            _ => None,
        }
    }

    /// The limit that `flowgate_limited_total` counts.
    pub(crate) fn limit(&self) -> Option<&'static str> {
        match self {
            Self::RateLimited { .. } => Some("requests"),
            Self::TooManyConcurrent => Some("concurrent"),
            Self::QuotaExceeded { .. } => Some("quota"),
            Self::TokensExceeded { .. } => Some("tokens"),
            Self::TooManyFailures { .. } => Some("auth_failures"),
            _ => None,
        }
    }

    /// Whether it is the gateway that refuses, and not that what answers the chatflow has failed.
    pub(crate) fn is_refused_here(&self) -> bool {
        self.rule().is_some() || self.limit().is_some() || self.auth_failure().is_some()
    }

    /// The response. `plain`: the client accepts nothing but an event stream, as Flowise's widget does, which shows
    /// its visitor the raw body of a 401, 403 or 429: it gets the sentence alone.
    pub(crate) fn response(&self, request_id: &HeaderValue, plain: bool) -> Response<Body> {
        let status = self.status();
        let sentence_only = plain && matches!(status.as_u16(), 401 | 403 | 429);
        let (content_type, body) = if sentence_only {
            ("text/plain; charset=utf-8", Bytes::copy_from_slice(self.message().as_bytes()))
        } else {
            ("application/json", self.json(request_id))
        };
        let mut response = Response::new(Body::Full(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self.end_connection(headers);
        match self {
            Self::MissingKey | Self::InvalidKey(_) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // RFC 6750, section 3.1.
            Self::InvalidToken { .. } => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
            }
            Self::IdentityUnavailable => {
                headers.insert(RETRY_AFTER, HeaderValue::from(5_u64));
            }
            Self::MethodNotAllowed(allow) => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            Self::RateLimited { retry_after }
            | Self::QuotaExceeded { retry_after }
            | Self::TokensExceeded { retry_after }
            | Self::TooManyFailures { retry_after } => {
                headers.insert(RETRY_AFTER, HeaderValue::from((*retry_after).max(1)));
            }
            Self::Flow { retry_after: Some(value), .. } => {
                headers.insert(RETRY_AFTER, value.clone());
            }
            Self::TooManyConcurrent | Self::EngineBusy | Self::StateUnavailable | Self::UpstreamUnavailable => {
                headers.insert(RETRY_AFTER, HeaderValue::from(1_u64));
            }
            _ => {}
        }
        response
    }

    /// The same as a stream, for a page of the official widget, which shows its visitor nothing of any other answer;
    /// `None` for what it does show. `tell`: the events that say it.
    pub(crate) fn stream(&self, tell: impl FnOnce(&Self) -> String) -> Option<Response<Body>> {
        if matches!(self.status().as_u16(), 401 | 403 | 429) {
            return None;
        }
        let mut response = Response::new(Body::from(Bytes::from(tell(self))));
        let headers = response.headers_mut();
        event_stream::set_head(headers);
        self.end_connection(headers);
        Some(response)
    }

    fn end_connection(&self, headers: &mut HeaderMap) {
        if self.rule().is_some_and(Rule::ends_connection) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    /// Written by hand: whoever tries keys sees nothing else, as fast as he can ask.
    fn json(&self, request_id: &HeaderValue) -> Bytes {
        let message = inside_json(self.message());
        let status = self.status();
        let id = inside_json(request_id.to_str().unwrap_or_default());
        let parts = [
            "{\"error\":\"",
            &message,
            "\",\"code\":\"",
            self.code().name(),
            "\",\"statusCode\":",
            status.as_str(),
            ",\"success\":false,\"message\":\"",
            &message,
            "\",\"requestId\":\"",
            &id,
            "\"}",
        ];
        Bytes::from(parts.concat())
    }
}

/// A text as it stands between the quotes of JSON.
fn inside_json(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        let quoted = serde_json::Value::from(text).to_string();
        return Cow::Owned(quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned());
    }
    Cow::Borrowed(text)
}

/// How large a body may be, and the setting that says so; `None`: the route itself does.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BodyLimit {
    pub(crate) bytes: u64,
    pub(crate) setting: Option<&'static str>,
}

impl BodyLimit {
    pub(crate) fn exceeded(self) -> Refusal {
        let setting = self.setting.map(|setting| format!(" ({setting})")).unwrap_or_default();
        Refusal::BodyTooLarge(format!("The body is larger than {}{setting}.", shown_size(self.bytes)))
    }
}

/// A size as the configuration writes it, but for a space.
pub(crate) fn shown_size(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{} {name}", bytes / unit);
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests;
