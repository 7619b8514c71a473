//! What the gateway tells its operator: the access log and the metrics.

mod access_log;
mod changed_keys;
mod explanation;
mod metrics;

use crate::harness::upstream::{ANSWER, Upstream};

pub(crate) const PREDICT: &str = "/api/v1/prediction/support";
pub(crate) const QUESTION: &str = r#"{"question":"hi"}"#;
pub(crate) const STREAM: &str = r#"{"question":"hi","streaming":true}"#;

/// Answers a stream with two events and `end`, anything else with [`ANSWER`].
pub(crate) fn talking() -> Upstream {
    Upstream::start(|seen, reply| {
        if String::from_utf8_lossy(&seen.body).contains("streaming") {
            reply.stream_head();
            reply.event("token", "hel");
            reply.event("token", "lo");
            reply.event("end", "[DONE]");
            reply.finish();
        } else {
            reply.json("200 OK", ANSWER);
        }
    })
}

/// Begins a stream with one event and ends it only when the gateway is gone.
pub(crate) fn endless() -> Upstream {
    Upstream::start(|seen, reply| {
        if seen.method == "PUT" {
            return reply.json("200 OK", "{}");
        }
        if String::from_utf8_lossy(&seen.body).contains("streaming") {
            reply.stream_head();
            reply.event("token", "hel");
        }
        assert!(reply.wait_for_close(), "the gateway gives up as well");
    })
}
