//! An HTTP/1.1 client for threads that serve many requests at once.
//!
//! Each thread has a [`Client`] of its own, which holds no lock and runs no task for a request: a connection belongs to
//! the future that sends the request, then to the body that reads the response, and dropping either closes it. A
//! [`Request`] goes to an [`Origin`]; what comes back is a [`Response`] or an [`Error`], which says which wait or which
//! step failed and whether anything [was sent](Error::was_sent).
//!
//! | part | what it is |
//! |---|---|
//! | `send` | one request to one origin: its time limit, and when it is sent again |
//! | `origin` | where requests go, with which TLS, time limits and addresses |
//! | `peer` | one address of an origin: whose connections are kept together |
//! | `request`, `response` | heads and bodies, as they pass |
//! | `error` | why there is no response, or no more of it |
//! | `connect`, `tls` | new connections; whom to trust |
//! | `pool` | idle connections, and which of them are good |
//! | `deadline` | the limits of many requests with one timer |
//! | `http1` | the protocol |
//! | `reach`, `special` | which addresses may be connected to |
//!
//! It knows nothing of who uses it: no settings, no metrics, no words for anybody's clients.

mod connect;
mod deadline;
mod error;
mod http1;
mod origin;
mod peer;
mod pool;
mod reach;
mod request;
mod response;
mod send;
mod special;
mod tls;

pub(crate) use connect::{ByteStream, look_up, open_agreed, open_stream};
pub(crate) use error::{Error, Wait};
pub(crate) use http1::RequestHead;
pub(crate) use origin::{Origin, Timeouts, UnfitHost};
pub(crate) use peer::Peer;
pub(crate) use reach::Reach;
pub(crate) use request::{BodyFailed, Request, RequestBody};
pub(crate) use response::{Response, ResponseBody};
pub(crate) use send::Client;
pub(crate) use tls::{ClientTls, TrustError};
