//! Errors of the client's library: what they mean, and how they are told.

use std::io;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Whether others would meet the same.
pub(super) fn is_loss(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ResponseError | ServerErrorKind::CrossSlot) => false,
        // A key that is something else than it should be.
        _ => error.code() != Some("WRONGTYPE"),
    }
}

/// Whether another connection may lead to where one can write.
pub(super) fn is_elsewhere(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
}

/// In few words, none of which are the store's own but for a code: they could hold anything.
pub(crate) fn reason(error: &RedisError) -> String {
    match error.code() {
        Some(code) => format!("it answers with {code}"),
        None if error.is_timeout() => "it takes too long to answer".to_owned(),
        None if error.is_connection_refusal() => "connections are refused".to_owned(),
        None if error.is_connection_dropped() => "the connection broke".to_owned(),
        None => error.category().to_owned(),
    }
}

/// Of a store that has answered nothing over this connection.
pub(super) fn reason_at_first(error: &RedisError) -> String {
    let is_closed = error.code().is_none() && error.is_connection_dropped();
    if is_closed && !error.is_timeout() && !error.is_connection_refusal() {
        // It says why before it closes, when nobody has asked yet.
        return "it closes connections at once, as its protected mode does while it has no password".to_owned();
    }
    reason(error)
}

pub(super) fn late() -> RedisError {
    RedisError::from(io::Error::from(io::ErrorKind::TimedOut))
}

pub(super) fn no_server() -> RedisError {
    RedisError::from(io::Error::from(io::ErrorKind::AddrNotAvailable))
}
