//! What goes over the wire, whatever layer sends it: bodies both ways, refusals, header fields that pass, hosts and
//! addresses, numbers, JSON of others.

pub(crate) mod body;
pub(crate) mod client_body;
pub(crate) mod decimal;
pub(crate) mod event_stream;
pub(crate) mod forwarded;
pub(crate) mod hop;
pub(crate) mod host;
pub(crate) mod json;
pub(crate) mod offload;
pub(crate) mod pace;
pub(crate) mod proxy_protocol;
pub(crate) mod refusal;
pub(crate) mod segment;
pub(crate) mod watched;
