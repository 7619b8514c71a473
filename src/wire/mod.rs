//! What goes over the wire, whatever layer sends it: the response body, refusals, hop-by-hop fields, addresses.

pub(crate) mod body;
pub(crate) mod forwarded;
pub(crate) mod hop;
pub(crate) mod refusal;
pub(crate) mod watched;
