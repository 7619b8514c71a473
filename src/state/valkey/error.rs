//! Errors of the client's library: what they mean, and how they are told.

use std::io;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// What it says to mistakes that its code does not tell apart, and what that means.
const MISTAKES: [(&str, &str); 5] = [
    ("DB index is out of range", "it has no database of that number"),
    ("cluster support disabled", "it is no Cluster"),
    ("unknown command", "it does not know a command: version 7 or newer is needed"),
    // Of version 7.0, and of later ones.
    ("The user executing the script can't", FORBIDDEN),
    ("ACL failure in script", FORBIDDEN),
];
const ELSEWHERE: &str = "other members of its Cluster have this key: `mode: cluster` asks them";
const FORBIDDEN: &str = "its ACL does not let scripts do what they have to";

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
        Some(code) => refusal(error, code),
        None if error.is_timeout() => "it takes too long to answer".to_owned(),
        None if error.is_connection_refusal() => "connections are refused".to_owned(),
        None if error.is_connection_dropped() => "the connection broke".to_owned(),
        // The system's words, or those of TLS.
        None if error.is_io_error() => error.to_string(),
        None if error.kind() == ErrorKind::Parse => "what it says is not of a Valkey or Redis".to_owned(),
        None => error.category().to_owned(),
    }
}

fn refusal(error: &RedisError, code: &str) -> String {
    if error.kind() == ErrorKind::Server(ServerErrorKind::Moved) {
        return ELSEWHERE.to_owned();
    }
    let said = error.detail().unwrap_or_default();
    let known = MISTAKES.iter().find(|(part, _)| said.contains(part));
    known.map_or_else(|| format!("it answers with {code}"), |(_, meaning)| (*meaning).to_owned())
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

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn told(answer: &str) -> String {
        let said = redis::parse_redis_value(format!("-{answer}\r\n").as_bytes());
        reason(&said.and_then(redis::Value::extract_error).expect_err("a refusal"))
    }

    #[test]
    fn mistakes_that_are_known_are_named_and_of_others_the_code() {
        assert_eq!(told("NOAUTH Authentication required."), "it answers with NOAUTH");
        assert_eq!(told("ERR DB index is out of range"), "it has no database of that number");
        assert_eq!(told("ERR This instance has cluster support disabled"), "it is no Cluster");
        assert_eq!(told("MOVED 3999 10.0.0.7:6381"), ELSEWHERE);
        for lacking in ["ERR unknown command 'SSUBSCRIBE', with args: secret", "ERR unknown command `HELLO`"] {
            assert_eq!(told(lacking), "it does not know a command: version 7 or newer is needed");
        }
        for forbidden in [
            "ERR The user executing the script can't run this command or subcommand script: 104ae6, on @user_script:1.",
            "ERR ACL failure in script: User gate has no permissions to run the 'time' command",
        ] {
            assert_eq!(told(forbidden), FORBIDDEN);
        }
        assert_eq!(told("ERR my password is hunter2"), "it answers with ERR");
    }

    #[test]
    fn what_the_system_says_is_told() {
        let error = io::Error::other("failed to lookup address information: Name or service not known");
        assert_eq!(reason(&error.into()), "failed to lookup address information: Name or service not known");
        assert_eq!(reason(&io::Error::from(io::ErrorKind::ConnectionRefused).into()), "connections are refused");
    }
}
