//! The word for programs in the answer to a refused request, and the status that goes with it.

use http::StatusCode;

macro_rules! codes {
    ($($variant:ident $name:literal $status:ident)*) => {
        /// What programs tell refusals apart by: `code` in an answer and in the access log.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code {
            $($variant,)*
        }

        impl Code {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As it is written.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            pub(crate) const fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)*
                }
            }
        }
    };
}

codes! {
    InvalidRequest "invalid_request" BAD_REQUEST
    MissingApiKey "missing_api_key" UNAUTHORIZED
    InvalidApiKey "invalid_api_key" UNAUTHORIZED
    InvalidToken "invalid_token" UNAUTHORIZED
    ChatflowNotAllowed "chatflow_not_allowed" FORBIDDEN
    AddressNotAllowed "address_not_allowed" FORBIDDEN
    OriginNotAllowed "origin_not_allowed" FORBIDDEN
    NotFound "not_found" NOT_FOUND
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED
    RequestTimeout "request_timeout" REQUEST_TIMEOUT
    ChatBusy "chat_busy" CONFLICT
    BodyTooLarge "body_too_large" PAYLOAD_TOO_LARGE
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE
    RateLimited "rate_limited" TOO_MANY_REQUESTS
    TooManyConcurrent "too_many_concurrent" TOO_MANY_REQUESTS
    QuotaExceeded "quota_exceeded" TOO_MANY_REQUESTS
    TokenQuotaExceeded "token_quota_exceeded" TOO_MANY_REQUESTS
    HeadersTooLarge "headers_too_large" REQUEST_HEADER_FIELDS_TOO_LARGE
    UpstreamError "upstream_error" BAD_GATEWAY
    EngineBusy "engine_busy" SERVICE_UNAVAILABLE
    IdentityUnavailable "identity_unavailable" SERVICE_UNAVAILABLE
    StateUnavailable "state_unavailable" SERVICE_UNAVAILABLE
    UpstreamUnavailable "upstream_unavailable" SERVICE_UNAVAILABLE
    UpstreamTimeout "upstream_timeout" GATEWAY_TIMEOUT
}

impl Code {
    /// Of an error of the flow itself, by the status that it was answered with.
    pub(super) fn of_flow(status: StatusCode) -> Self {
        match status.as_u16() {
            400 | 412 | 422 => Self::InvalidRequest,
            404 => Self::NotFound,
            413 => Self::BodyTooLarge,
            415 => Self::UnsupportedMediaType,
            429 => Self::RateLimited,
            _ => Self::UpstreamError,
        }
    }
}
