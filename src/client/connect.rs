//! A new connection: look-up, TCP, and TLS if the origin has it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::error::{Error, Wait};
use super::http1::{Connection, Transport};
use super::origin::Origin;
use super::peer::Peer;

/// Opens a connection, within the origin's time-out.
pub(super) async fn connect(origin: &Origin, peer: &Peer) -> Result<Connection, Error> {
    let opened = tokio::time::timeout(origin.timeouts.connect, open(origin, peer)).await;
    opened.unwrap_or(Err(Error::Timeout(Wait::Connection)))
}

/// A connection for whoever speaks something else than HTTP/1.1 over it; the origin's time-out holds for it as well.
///
/// # Errors
/// Why there is none.
pub(crate) async fn open_stream(origin: &Origin) -> Result<Box<dyn ByteStream>, Error> {
    let opened = tokio::time::timeout(origin.timeouts.connect, dial(origin, origin.peer())).await;
    Ok(match opened.unwrap_or(Err(Error::Timeout(Wait::Connection)))? {
        Transport::Tcp(tcp) => Box::new(tcp),
        Transport::Tls(tls) => tls,
    })
}

/// As [`open_stream`], for protocols in which TLS begins once both have agreed on it: says `hello` in clear text, and goes
/// on with TLS if the other side says `agreed`.
///
/// # Errors
/// Why there is no connection; the other side does not agree.
pub(crate) async fn open_agreed(origin: &Origin, hello: &[u8], agreed: u8) -> Result<Box<dyn ByteStream>, Error> {
    let dialed = async {
        let mut tcp = dial_tcp(origin, origin.peer()).await?;
        let Some(secured) = &origin.secured else { return Ok(Box::new(tcp) as Box<dyn ByteStream>) };
        tcp.write_all(hello).await.map_err(Error::Connect)?;
        if tcp.read_u8().await.map_err(Error::Connect)? != agreed {
            return Err(Error::Tls(io::Error::other("the other side does not speak TLS")));
        }
        let connector = TlsConnector::from(Arc::clone(secured.tls.config()));
        let connected = connector.connect(secured.name.clone(), tcp).await.map_err(Error::Tls)?;
        Ok(Box::new(connected))
    };
    tokio::time::timeout(origin.timeouts.connect, dialed).await.unwrap_or(Err(Error::Timeout(Wait::Connection)))
}

/// Bytes both ways.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> ByteStream for T {}

async fn open(origin: &Origin, peer: &Peer) -> Result<Connection, Error> {
    dial(origin, peer).await.map(Connection::new)
}

async fn dial_tcp(origin: &Origin, peer: &Peer) -> Result<TcpStream, Error> {
    let tcp = match peer.address() {
        Some(address) if !origin.reach.has(address.ip()) => return Err(Error::Denied(address.ip())),
        Some(address) => TcpStream::connect(address).await,
        None => TcpStream::connect(&*addresses(origin).await?).await,
    };
    let tcp = tcp.map_err(Error::Connect)?;
    // Every write is a whole request; waiting for more would only delay it.
    tcp.set_nodelay(true).map_err(Error::Connect)?;
    Ok(tcp)
}

async fn dial(origin: &Origin, peer: &Peer) -> Result<Transport, Error> {
    let tcp = dial_tcp(origin, peer).await?;
    Ok(match &origin.secured {
        Some(secured) => {
            let connector = TlsConnector::from(Arc::clone(secured.tls.config()));
            let connected = connector.connect(secured.name.clone(), tcp).await;
            Transport::Tls(Box::new(connected.map_err(Error::Tls)?))
        }
        None => Transport::Tcp(tcp),
    })
}

/// What the origin's host stands for now, in an order that is always the same.
///
/// # Errors
/// It stands for nothing, or for nothing that may be connected to.
pub(crate) async fn look_up(origin: &Origin) -> Result<Vec<SocketAddr>, Error> {
    let mut found = addresses(origin).await?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The very addresses that are connected to: a second look-up might find others.
async fn addresses(origin: &Origin) -> Result<Vec<SocketAddr>, Error> {
    let found = lookup_host((origin.host.as_str(), origin.port)).await.map_err(Error::Resolve)?;
    let mut denied = None;
    let mut addresses = Vec::new();
    for address in found {
        if origin.reach.has(address.ip()) {
            addresses.push(address);
        } else {
            denied.get_or_insert(address.ip());
        }
    }
    match denied {
        Some(denied) if addresses.is_empty() => Err(Error::Denied(denied)),
        _ => Ok(addresses),
    }
}
