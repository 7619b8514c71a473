//! For whom a proxy has opened a connection: the header of the PROXY protocol, before TLS and before HTTP.
//!
//! No byte beyond the header is taken from the socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::admission::{Admission, Share};
use super::unserved::Unserved;
use crate::config::{ProxyProtocol, Server};
use crate::telemetry::metrics::ConnectionMetrics;
use crate::wire::forwarded::is_trusted;
use crate::wire::proxy_protocol::{self, BEGINNING, BINARY_HEAD, HeaderKind, LONGEST_LINE, NotProxied, ProxiedFor};

/// The client that a proxy names, counted among its address's connections; the peer itself if the proxy speaks for itself.
/// `None`: it is not to be served.
pub(super) async fn admit(
    stream: &mut TcpStream,
    peer: SocketAddr,
    wanted: ProxyProtocol,
    server: &Server,
    (admission, metrics): (&Arc<Admission>, &ConnectionMetrics),
) -> Option<(SocketAddr, Option<Share>)> {
    let read = tokio::time::timeout(server.header_timeout, read(stream, wanted)).await;
    let client = match read.unwrap_or(Err(HeaderFault::Late)) {
        Ok(client) => client.unwrap_or(peer),
        Err(error) => {
            tracing::debug!(%peer, %error, "no PROXY header");
            admission.closed.tell(Unserved::ProxyProtocol, peer, metrics);
            return None;
        }
    };
    match server.connections_per_address {
        Some(most) if !is_trusted(client.ip().to_canonical(), &server.trusted_proxies) => {
            let share = admission.enter(client, most.get());
            if share.is_none() {
                admission.closed.tell(Unserved::Address, client, metrics);
            }
            share.map(|share| (client, Some(share)))
        }
        _ => Some((client, None)),
    }
}

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
enum HeaderFault {
    #[error("no header of the PROXY protocol as server.proxy_protocol wants it")]
    Wrong,
    #[error("the header of the PROXY protocol did not come within server.header_timeout")]
    Late,
    #[error(transparent)]
    Broken(#[from] io::Error),
}

impl From<NotProxied> for HeaderFault {
    fn from(NotProxied: NotProxied) -> Self {
        Self::Wrong
    }
}

async fn read(stream: &mut TcpStream, wanted: ProxyProtocol) -> Result<ProxiedFor, HeaderFault> {
    let mut beginning = [0; BEGINNING];
    stream.read_exact(&mut beginning).await?;
    match (proxy_protocol::kind(beginning)?, wanted) {
        (HeaderKind::Line, ProxyProtocol::V1 | ProxyProtocol::Any) => line(stream, beginning).await,
        (HeaderKind::Binary, ProxyProtocol::V2 | ProxyProtocol::Any) => binary(stream, beginning).await,
        (HeaderKind::Line, ProxyProtocol::V2) | (HeaderKind::Binary, ProxyProtocol::V1) => Err(HeaderFault::Wrong),
    }
}

async fn line(stream: &mut TcpStream, beginning: [u8; BEGINNING]) -> Result<ProxiedFor, HeaderFault> {
    let mut line = beginning.to_vec();
    let mut piece = [0; LONGEST_LINE - BEGINNING];
    loop {
        let room = piece.get_mut(..LONGEST_LINE - line.len()).filter(|room| !room.is_empty());
        let room = room.ok_or(HeaderFault::Wrong)?;
        // A look first: what stands behind the line is not ours.
        let there = stream.peek(room).await?;
        let there = room.get_mut(..there).filter(|there| !there.is_empty()).ok_or(HeaderFault::Wrong)?;
        let end = memchr::memchr(b'\n', there).map(|at| at + 1);
        let ours = there.get_mut(..end.unwrap_or(usize::MAX).min(there.len())).unwrap_or_default();
        stream.read_exact(ours).await?;
        line.extend_from_slice(ours);
        if end.is_some() {
            return Ok(proxy_protocol::line(&line)?);
        }
    }
}

async fn binary(stream: &mut TcpStream, beginning: [u8; BEGINNING]) -> Result<ProxiedFor, HeaderFault> {
    let mut head = [0; BINARY_HEAD];
    let (first, last) = head.split_at_mut(BEGINNING);
    first.copy_from_slice(&beginning);
    stream.read_exact(last).await?;
    let mut rest = vec![0; proxy_protocol::rest_length(head)?];
    stream.read_exact(&mut rest).await?;
    Ok(proxy_protocol::binary(head, &rest)?)
}
