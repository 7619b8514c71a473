//! What goes over the wire, whatever layer sends it: the response body, refusals, hop-by-hop fields, addresses,
//! numbers.

pub(crate) mod body;
pub(crate) mod decimal;
pub(crate) mod forwarded;
pub(crate) mod hop;
pub(crate) mod refusal;
pub(crate) mod segment;
pub(crate) mod watched;
