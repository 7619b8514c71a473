//! Connections to servers that speak a protocol of their own, such as databases.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{ByteStream, Error, Origin, open_agreed, open_stream};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;

/// For each answer of a server, or piece of one.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where one listens.
#[derive(Debug, Clone)]
pub(crate) struct RawServer {
    pub(super) origin: Arc<Origin>,
    /// Whether it is plain that it may not be called.
    pub(super) is_denied: bool,
}

/// A connection to one.
pub(crate) struct ServerStream(Box<dyn ByteStream>);

impl fmt::Debug for ServerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerStream")
    }
}

impl RawServer {
    /// The host, if calls of it are denied.
    pub(crate) fn denied(&self) -> Option<&str> {
        self.is_denied.then(|| self.origin.host())
    }

    pub(crate) async fn open(&self, run: &Run<'_>) -> Result<ServerStream, Failure> {
        run.budget().check()?;
        open_stream(&self.origin).await.map(ServerStream).map_err(told)
    }

    /// Where TLS begins once both have agreed on it, if there is any.
    pub(crate) async fn open_agreed(&self, hello: &[u8], agreed: u8, run: &Run<'_>) -> Result<ServerStream, Failure> {
        run.budget().check()?;
        open_agreed(&self.origin, hello, agreed).await.map(ServerStream).map_err(told)
    }
}

/// In Node's words, as its libraries tell them.
fn told(error: Error) -> Failure {
    let words = match error {
        Error::Timeout(_) => return Failure::Timeout,
        Error::Denied(_) => "requests to this machine and its network are denied by policy (engine.allow_networks)",
        Error::Resolve(_) => "getaddrinfo ENOTFOUND",
        Error::Connect(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => "connect ECONNREFUSED",
        Error::Tls(_) => "the certificate or the TLS of the other side is not accepted",
        _ => "Connection error.",
    };
    Failure::Unreachable(words.to_owned())
}

fn broken() -> Failure {
    Failure::Unreachable("The database broke off.".to_owned())
}

impl ServerStream {
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = async {
            self.0.write_all(bytes).await?;
            self.0.flush().await
        };
        match tokio::time::timeout(PATIENCE, written).await {
            Ok(written) => written.map_err(|_| broken()),
            Err(_) => Err(Failure::Timeout),
        }
    }

    /// Exactly so many bytes.
    pub(crate) async fn read(&mut self, count: usize) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            // What a server announces is believed piece by piece.
            let mut piece = (&mut *self.0).take((count - bytes.len()).min(64 * 1024) as u64);
            match tokio::time::timeout(PATIENCE, piece.read_buf(&mut bytes)).await {
                Ok(Ok(0) | Err(_)) => return Err(broken()),
                Ok(Ok(_)) => {}
                Err(_) => return Err(Failure::Timeout),
            }
        }
        Ok(bytes)
    }
}
