//! The prediction call as types: what a client may ask ([`request`]), of which files ([`files`]) and by what names
//! ([`file_name`]), how events are written ([`events`]) and streamed ([`stream`]), how long its words may be ([`runs`]),
//! what keeps callers' chats apart ([`session`]), and random chat ids ([`chat_id`]).

pub(crate) mod answer;
pub(crate) mod chat_id;
pub(crate) mod events;
pub(crate) mod file_name;
pub(crate) mod files;
#[cfg(test)]
mod fuzz;
pub(crate) mod json;
pub(crate) mod multipart;
pub(crate) mod report;
pub(crate) mod request;
pub(crate) mod runs;
pub(crate) mod session;
pub(crate) mod stream;
