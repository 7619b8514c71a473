//! Why there is no response, or no more of it.

use std::io;
use std::net::IpAddr;

/// Why a request has no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot resolve the name")]
    Resolve(#[source] io::Error),
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("TLS failed")]
    Tls(#[source] io::Error),
    /// Nothing that the host stands for is within [reach](super::Reach); the first of its addresses.
    #[error("the address {0} may not be connected to")]
    Denied(IpAddr),
    #[error("{0}")]
    Timeout(Wait),
    /// The connection was of no use any more, or what came over it.
    #[error("broke off before the response")]
    Broken {
        was_sent: bool,
        #[source]
        cause: Broken,
    },
    /// The request's own body failed; whoever made it knows why.
    #[error("the request's body failed")]
    Body,
}

/// What was waited for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wait {
    #[error("no connection within the connect time-out")]
    Connection,
    #[error("no response in time")]
    Response,
}

/// How an exchange came to its end before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the connection was closed")]
    Closed,
    #[error("the connection failed")]
    Io(#[from] io::Error),
    #[error("not an HTTP/1.1 answer: {0}")]
    Malformed(&'static str),
}

impl Error {
    /// Whether anything of the request may have gone out. If not, it can be sent elsewhere, and its body is whole.
    pub(crate) fn was_sent(&self) -> bool {
        match self {
            Self::Broken { was_sent, .. } => *was_sent,
            Self::Timeout(Wait::Response) | Self::Body => true,
            _ => false,
        }
    }

    /// Whether there was no connection to send it over.
    pub(crate) fn is_connect(&self) -> bool {
        match self {
            Self::Resolve(_) | Self::Connect(_) | Self::Tls(_) | Self::Denied(_) | Self::Timeout(Wait::Connection) => {
                true
            }
            Self::Timeout(Wait::Response) | Self::Broken { .. } | Self::Body => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_not_sent_can_be_sent_elsewhere() {
        let io = || io::Error::from(io::ErrorKind::ConnectionReset);
        let broken = |was_sent| Error::Broken { was_sent, cause: Broken::Closed };
        for error in [Error::Resolve(io()), Error::Connect(io()), Error::Tls(io()), Error::Timeout(Wait::Connection)] {
            assert!(error.is_connect() && !error.was_sent(), "{error}");
        }
        for error in [broken(true), Error::Timeout(Wait::Response), Error::Body] {
            assert!(error.was_sent() && !error.is_connect(), "{error}");
        }
        assert!(!broken(false).was_sent() && !broken(false).is_connect());
    }
}
