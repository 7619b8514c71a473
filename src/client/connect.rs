//! A new connection to an upstream: TCP, and TLS if the URL says so.

use std::io;
use std::sync::Arc;

use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::http1::{Connection, Transport};
use super::reach::Reach;
use crate::upstream::target::{Endpoint, Target};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("no connection within the connect time-out")]
    TimedOut,
    #[error("cannot connect")]
    Tcp(#[source] io::Error),
    #[error("TLS failed")]
    Tls(#[source] io::Error),
}

impl ConnectError {
    /// What the operator can do about it.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Tls(error) => crate::tls::advice(error),
            Self::TimedOut | Self::Tcp(_) => None,
        }
    }
}

/// Opens a connection, within the target's time-out.
pub(crate) async fn connect(target: &Target, endpoint: &Endpoint) -> Result<Connection, ConnectError> {
    match tokio::time::timeout(target.settings.connect_timeout, open(target, endpoint)).await {
        Ok(Ok(connection)) => {
            endpoint.connected();
            Ok(connection)
        }
        Ok(Err(error)) => {
            endpoint.failed();
            Err(error)
        }
        Err(_) => {
            endpoint.failed();
            Err(ConnectError::TimedOut)
        }
    }
}

async fn open(target: &Target, endpoint: &Endpoint) -> Result<Connection, ConnectError> {
    let tcp = match &target.reach {
        Reach::Any => stream(endpoint).await,
        reach @ Reach::Public(_) => stream_within(reach, endpoint).await,
    };
    let tcp = tcp.map_err(ConnectError::Tcp)?;
    // Every write is a whole request; waiting for more would only delay it.
    tcp.set_nodelay(true).map_err(ConnectError::Tcp)?;
    let transport = match (&target.tls, &endpoint.server_name) {
        (Some(config), Some(name)) => {
            let connector = TlsConnector::from(Arc::clone(config));
            Transport::Tls(Box::new(connector.connect(name.clone(), tcp).await.map_err(ConnectError::Tls)?))
        }
        _ => Transport::Tcp(tcp),
    };
    Ok(Connection::new(transport))
}

async fn stream(endpoint: &Endpoint) -> io::Result<TcpStream> {
    TcpStream::connect((endpoint.url.host.as_str(), endpoint.url.port)).await
}

/// Connects to the very addresses that were looked at.
async fn stream_within(reach: &Reach, endpoint: &Endpoint) -> io::Result<TcpStream> {
    let addresses = lookup_host((endpoint.url.host.as_str(), endpoint.url.port)).await?;
    let addresses: Vec<_> = addresses.filter(|address| reach.has(address.ip())).collect();
    if addresses.is_empty() {
        let why = "the name has only addresses of this network, which allow_networks does not hold";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    TcpStream::connect(addresses.as_slice()).await
}
