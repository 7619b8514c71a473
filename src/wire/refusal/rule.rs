//! The rules by which requests are refused, one row each.
//!
//! deploy/shield/README.md lists them in this order and in these words; a test compares.

use std::borrow::Cow;

use super::{Code, Refusal};

macro_rules! rules {
    ($($variant:ident $name:literal $code:ident $refuses:literal)*) => {
        /// What a request was refused by; `flowgate_rejected_total` and the access log name it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Rule {
            $(#[doc = concat!("Refuses ", $refuses, ".")] $variant,)*
        }

        impl Rule {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As metric and log show it.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What the client is told, and by which status.
            pub(crate) const fn code(self) -> Code {
                match self {
                    $(Self::$variant => Code::$code,)*
                }
            }

            /// What it closes, in the words of its row on the shield's page.
            pub(crate) const fn refuses(self) -> &'static str {
                match self {
                    $(Self::$variant => $refuses,)*
                }
            }
        }
    };
}

rules! {
    AddressScope "address_scope" AddressNotAllowed
        "a key from an address that is not among its `allowed_ips`"
    AmbiguousCredentials "ambiguous_credentials" InvalidRequest
        "two credentials that disagree, or one sent twice"
    AmbiguousField "ambiguous_field" InvalidRequest
        "two fields that mean the same, such as `stream` and `streaming`, and disagree"
    AmbiguousOrigin "ambiguous_origin" InvalidRequest
        "two `Origin` headers"
    BodyBroken "body_broken" InvalidRequest
        "a body that breaks off"
    BodyDepth "body_depth" InvalidRequest
        "JSON nested deeper than any honest request"
    BodyJson "body_json" InvalidRequest
        "a body that is not one JSON object"
    BodyRate "body_rate" RequestTimeout
        "a body slower than `min_body_rate`"
    BodySize "body_size" BodyTooLarge
        "a body above `max_body` or `max_upload`"
    BodyTime "body_time" RequestTimeout
        "a body that takes longer than `body_time`"
    BodyValues "body_values" InvalidRequest
        "JSON of too many values"
    ChatBusy "chat_busy" ChatBusy
        "a second stream for a chat that is being answered"
    ChatPath "chat_path" InvalidRequest
        "the id of a chat that is more than a name, where it stands in a path or names a folder"
    ChatflowScope "chatflow_scope" ChatflowNotAllowed
        "a key for a chatflow that is not among its own"
    DuplicateField "duplicate_field" InvalidRequest
        "a name twice in one object, also when written with escapes"
    Encoding "encoding" InvalidRequest
        "a path or query that is not percent-encoded UTF-8"
    EngineBusy "engine_busy" EngineBusy
        "the built-in engine has as many runs to begin as it takes"
    ExtAuthChatflow "ext_auth_chatflow" ChatflowNotAllowed
        "by external authorisation, a chatflow of the built-in engine, a caller without a key, or what only the gateway in the way can keep: `vars`, `force_override`, `response`, `events`"
    ExtAuthRequest "ext_auth_request" InvalidRequest
        "an external authorisation that says in no way, in two, or by half, which request it is about"
    ExtAuthRoute "ext_auth_route" NotFound
        "by external authorisation, a call that the gateway answers or checks itself"
    FieldRequired "field_required" InvalidRequest
        "a call of the widget without a field that it needs"
    FieldType "field_type" InvalidRequest
        "a field of the wrong JSON type, or too long; the answer names it"
    FileName "file_name" InvalidRequest
        "the name of a stored file that is more than a name"
    FileReference "file_reference" InvalidRequest
        "`FILE-STORAGE::` where a client may not refer to stored files"
    ForcedVars "forced_vars" InvalidRequest
        "a token, or a key that forces variables, on a chatflow whose bodies are forwarded unread"
    Framing "framing" InvalidRequest
        "a length that two programs could read differently"
    HeadSize "head_size" HeadersTooLarge
        "a request head above `max_header_bytes`"
    History "history" InvalidRequest
        "a made-up history by a caller who is no backend, or of an odd shape"
    Host "host" InvalidRequest
        "a missing, double or contradicting `Host`, or one that is no host and port"
    IdentityUnavailable "identity_unavailable" IdentityUnavailable
        "a token of an identity provider whose keys could not be read yet"
    Malformed "malformed" InvalidRequest
        "what is not HTTP"
    MediaType "media_type" UnsupportedMediaType
        "a body of another type than the route takes"
    Method "method" MethodNotAllowed
        "another method than the route's own"
    Multipart "multipart" InvalidRequest
        "an upload that is not a plain list of named files"
    Origin "origin" OriginNotAllowed
        "a page whose origin is not listed, or a caller that names none, where there is no secret key"
    OverrideAddress "override_address" InvalidRequest
        "`overrideConfig`: addresses that the server calls"
    OverrideAnalytics "override_analytics" InvalidRequest
        "`overrideConfig`: where traces are sent"
    OverrideCode "override_code" InvalidRequest
        "`overrideConfig`: code that the server runs"
    OverrideConfig "override_config" InvalidRequest
        "`overrideConfig`: a path that the chatflow does not allow"
    OverrideCredentials "override_credentials" InvalidRequest
        "`overrideConfig`: credentials"
    OverrideFile "override_file" InvalidRequest
        "`overrideConfig`: files of the server"
    OverrideHistory "override_history" InvalidRequest
        "`overrideConfig`: ids and history of the chat"
    OverrideTemplate "override_template" InvalidRequest
        "`overrideConfig`: a template, which would read the flow's variables"
    OverrideTools "override_tools" InvalidRequest
        "`overrideConfig`: tools, stores, MCP servers and settings of nodes"
    OverrideType "override_type" InvalidRequest
        "`overrideConfig`: an object or array where the allowed path takes one value"
    PrototypeField "prototype_field" InvalidRequest
        "`__proto__`, `constructor` or `prototype` anywhere"
    QuestionLength "question_length" InvalidRequest
        "a question above `max_question_chars`"
    QuestionRequired "question_required" InvalidRequest
        "neither a question, a form nor anything spoken"
    RequestTimeout "request_timeout" RequestTimeout
        "a body of which no byte comes for `body_timeout`"
    StateUnavailable "state_unavailable" StateUnavailable
        "a caller whose limits only the lost store knows, see `on_loss`"
    UnknownField "unknown_field" InvalidRequest
        "a field that is not known; the answer names it"
    UnknownRoute "unknown_route" NotFound
        "any path but the few that an app needs, any chatflow that is not configured"
    UploadByUrl "upload_by_url" InvalidRequest
        "an upload that the server would fetch"
    UploadKind "upload_kind" InvalidRequest
        "a file whose name, media type and content do not agree, or whose kind is not taken"
    UpsertScope "upsert_scope" ChatflowNotAllowed
        "`vector/upsert` by a key without that right"
    WordLength "word_length" InvalidRequest
        "a run of letters, digits, signs or space above `max_word_chars`, in a question, an override or a file that is a text"
}

impl Rule {
    /// The refusal by this rule. The sentence names the field or header, and is read by the client.
    pub(crate) fn refuse(self, sentence: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal::Invalid(self, sentence.into())
    }

    /// Whether the connection ends with the answer: whoever sends such a request may see its end elsewhere than the
    /// gateway does, so nothing more is read.
    pub(super) const fn ends_connection(self) -> bool {
        matches!(self, Self::Framing | Self::Host | Self::BodyBroken)
    }
}
