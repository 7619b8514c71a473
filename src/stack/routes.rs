//! Every route of the public listener, one row each. All layers read this table; whatever is not in it is 404 and never
//! reaches an upstream.

use http::Method;

use crate::config::ResponseShape;
use crate::policy::Callers;
use crate::widget::handle;

/// One row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) endpoint: Endpoint,
    /// In log and metrics.
    pub(crate) label: &'static str,
    pub(crate) methods: Methods,
    pub(crate) path: RoutePath,
    pub(crate) body: Takes,
    pub(crate) callers: Callers,
    pub(crate) chatflow: NamedIn,
    /// Of question and answer; `None`: Flowise's question, and the answer as the chatflow's `response` has it.
    pub(crate) shape: Option<ResponseShape>,
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `route` itself.
    Health,
    Ping,
    /// `demo_page`, where `flowgate demo` runs.
    DemoPage,
    /// `mint`.
    Tokens,
    /// `usage`.
    Usage,
    /// The chatflow's backend.
    Flow(FlowCall),
    /// `widget`.
    Widget(WidgetCall),
}

/// What a chatflow is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlowCall {
    Prediction,
    /// Whether its answers are streams.
    Streaming,
    Upsert,
}

/// What the official widget asks for beside predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WidgetCall {
    ChatbotConfig,
    ChatflowsUploads,
    UploadedFile,
    Attachments,
    Feedback,
    FeedbackUpdate,
    Leads,
    AssistantsFile,
    Speech,
    SpeechAbort,
    Abort,
}

/// What a path answers to, beside `OPTIONS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Methods {
    /// And `HEAD`.
    Get,
    Post,
    Put,
}

/// The body that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    /// JSON of at most so many bytes, or `server.max_body` if that is less.
    Json(u64),
    /// JSON of at most `server.max_body`; where the chatflow's `body` is `passthrough`, the same as `Unread`.
    Question,
    /// JSON, or a form of at most `server.max_upload`: forwarded as it comes.
    Unread,
    /// A form of at most `server.max_upload`.
    Files,
}

/// Where a call names its chatflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamedIn {
    Nothing,
    Path {
        /// The field of the body that may say it again.
        again: Option<&'static str>,
    },
    /// A field of the body.
    Body(&'static str),
    /// `chatflowId` of the query.
    Query,
}

/// A path, exactly as it is spelt: a literal, and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoutePath {
    pub(crate) pattern: &'static str,
    /// Up to the first name.
    pub(crate) literal: &'static str,
    pub(crate) tail: PathTail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathTail {
    Nothing,
    Chatflow,
    ChatflowAndChat,
    /// Of a stored rating, which names its chatflow.
    Handle,
}

/// Bytes of a body of the widget's calls.
const FORM: Takes = Takes::Json(64 * 1024);
/// Of one that asks for a token, which has to fit into a header.
const TOKEN_REQUEST: Takes = Takes::Json(8 * 1024);

const IN_PATH: NamedIn = NamedIn::Path { again: None };

/// The first whose path fits, so what is called most stands first, and a handle, which may be a chatflow's name as
/// well, before the name.
#[rustfmt::skip]
pub(crate) const ROUTES: &[Route] = {
    use Callers::{Anyone, Backends, Known, Permitted, Upserters};
    use Methods::{Get, Post, Put};
    use NamedIn::{Body, Path as InPath, Query};
    use Takes::{Files, Nothing, Question, Unread};
    &[
        flow(FlowCall::Prediction, "prediction", Post, "/api/v1/prediction/{chatflow}", Question, Permitted),
        flow(FlowCall::Streaming, "chatflows-streaming", Get, "/api/v1/chatflows-streaming/{chatflow}", Nothing, Anyone),
        flow(FlowCall::Upsert, "vector-upsert", Post, "/api/v1/vector/upsert/{chatflow}", Unread, Upserters),
        row(Endpoint::Health, "health", Get, "/api/v1/health", Nothing, Anyone, NamedIn::Nothing),
        row(Endpoint::Ping, "ping", Get, "/api/v1/ping", Nothing, Anyone, NamedIn::Nothing),
        row(Endpoint::DemoPage, "demo-page", Get, "/", Nothing, Anyone, NamedIn::Nothing),
        row(Endpoint::Tokens, "tokens", Post, "/api/v1/tokens", TOKEN_REQUEST, Backends, NamedIn::Nothing),
        row(Endpoint::Usage, "usage", Get, "/api/v1/usage", Nothing, Known, NamedIn::Nothing),
        widget(WidgetCall::ChatbotConfig, "public-chatbotConfig", Get, "/api/v1/public-chatbotConfig/{chatflow}", Nothing, IN_PATH),
        widget(WidgetCall::ChatflowsUploads, "chatflows-uploads", Get, "/api/v1/chatflows-uploads/{chatflow}", Nothing, IN_PATH),
        widget(WidgetCall::Attachments, "attachments", Post, "/api/v1/attachments/{chatflow}/{chatId}", Files, IN_PATH),
        widget(WidgetCall::UploadedFile, "get-upload-file", Get, "/api/v1/get-upload-file", Nothing, Query),
        widget(WidgetCall::AssistantsFile, "openai-assistants-file", Post, "/api/v1/openai-assistants-file/download", FORM, Body("chatflowId")),
        widget(WidgetCall::FeedbackUpdate, "feedback-update", Put, "/api/v1/feedback/{handle}", FORM, InPath { again: Some("chatflowId") }),
        widget(WidgetCall::Feedback, "feedback", Post, "/api/v1/feedback/{chatflow}", FORM, InPath { again: Some("chatflowid") }),
        widget(WidgetCall::Leads, "leads", Post, "/api/v1/leads", FORM, Body("chatflowid")),
        // As the widget writes it.
        widget(WidgetCall::Leads, "leads", Post, "/api/v1/leads/", FORM, Body("chatflowid")),
        widget(WidgetCall::Abort, "chatmessage-abort", Put, "/api/v1/chatmessage/abort/{chatflow}/{chatId}", Nothing, IN_PATH),
        widget(WidgetCall::Speech, "text-to-speech", Post, "/api/v1/text-to-speech/generate", FORM, Body("chatflowId")),
        widget(WidgetCall::SpeechAbort, "text-to-speech-abort", Post, "/api/v1/text-to-speech/abort", FORM, Body("chatflowId")),
    ]
};

const fn row(
    endpoint: Endpoint,
    label: &'static str,
    methods: Methods,
    pattern: &'static str,
    body: Takes,
    callers: Callers,
    chatflow: NamedIn,
) -> Route {
    Route { endpoint, label, methods, path: RoutePath::new(pattern), body, callers, chatflow, shape: None }
}

const fn flow(
    call: FlowCall,
    label: &'static str,
    methods: Methods,
    pattern: &'static str,
    body: Takes,
    callers: Callers,
) -> Route {
    row(Endpoint::Flow(call), label, methods, pattern, body, callers, IN_PATH)
}

const fn widget(
    call: WidgetCall,
    label: &'static str,
    methods: Methods,
    pattern: &'static str,
    body: Takes,
    chatflow: NamedIn,
) -> Route {
    row(Endpoint::Widget(call), label, methods, pattern, body, Callers::Permitted, chatflow)
}

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MatchedRoute<'a> {
    pub(crate) route: &'static Route,
    /// The chatflow's name, if it stands in the path.
    pub(crate) chatflow: Option<&'a str>,
}

/// Reads a path: no decoding, no case folding, no dot segments.
pub(crate) fn find(path: &str) -> Option<MatchedRoute<'_>> {
    ROUTES.iter().find_map(|route| route.read(path))
}

impl Endpoint {
    pub(crate) const PREDICTION: Self = Self::Flow(FlowCall::Prediction);

    /// Another one for each.
    const fn number(self) -> u8 {
        match self {
            Self::Health => 0,
            Self::Ping => 1,
            Self::Tokens => 2,
            Self::DemoPage => 3,
            Self::Usage => 4,
            Self::Flow(call) => 16 + call as u8,
            Self::Widget(call) => 32 + call as u8,
        }
    }
}

impl Methods {
    /// As `Allow` lists them.
    pub(crate) const fn allow(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD, OPTIONS",
            Self::Post => "POST, OPTIONS",
            Self::Put => "PUT, OPTIONS",
        }
    }

    pub(crate) fn allows(self, method: &Method) -> bool {
        match self {
            Self::Get => *method == Method::GET || *method == Method::HEAD,
            Self::Post => *method == Method::POST,
            Self::Put => *method == Method::PUT,
        }
    }
}

impl RoutePath {
    /// A pattern with the names of what it takes in braces. One that cannot be read does not compile.
    const fn new(pattern: &'static str) -> Self {
        let mut rest = pattern.as_bytes();
        while let [first, after @ ..] = rest
            && *first != b'{'
        {
            rest = after;
        }
        let (literal, tail) = pattern.split_at(pattern.len() - rest.len());
        let tail = match tail.as_bytes() {
            b"" => PathTail::Nothing,
            b"{chatflow}" => PathTail::Chatflow,
            b"{chatflow}/{chatId}" => PathTail::ChatflowAndChat,
            b"{handle}" => PathTail::Handle,
            _ => panic!("a path that cannot be read"),
        };
        Self { pattern, literal, tail }
    }
}

impl Route {
    /// Another one for each label.
    pub(crate) const fn number(&self) -> u8 {
        match self.shape {
            Some(shape) => 64 + shape as u8,
            None => self.endpoint.number(),
        }
    }

    /// Whether it is this path, and which chatflow it names.
    fn read<'a>(&'static self, path: &'a str) -> Option<MatchedRoute<'a>> {
        let rest = path.strip_prefix(self.path.literal)?;
        let chatflow = match self.path.tail {
            PathTail::Nothing => rest.is_empty().then_some(None),
            PathTail::Chatflow => is_segment(rest).then_some(Some(rest)),
            PathTail::ChatflowAndChat => {
                let (chatflow, chat) = rest.split_once('/')?;
                (is_segment(chatflow) && is_segment(chat)).then_some(Some(chatflow))
            }
            PathTail::Handle => handle::parts(rest).filter(|_| is_segment(rest)).map(|(chatflow, ..)| Some(chatflow)),
        };
        Some(MatchedRoute { route: self, chatflow: chatflow? })
    }
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && memchr::memchr(b'/', text.as_bytes()).is_none()
}

#[cfg(test)]
mod tests;
