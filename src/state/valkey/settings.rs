//! What the configuration means to the client's library.

use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion, PushInfo,
    RedisConnectionInfo, RedisResult, TlsCertificates,
};
use tokio::sync::mpsc;

use crate::config::{Secret, Valkey, ValkeyServer};

/// An answer that comes so late is of no more use to anybody.
pub(super) const LATEST: Duration = Duration::from_secs(5);
/// Commands that wait for the connection's task.
const PIPELINE: usize = 1024;

/// Where a connection puts what the store sends by itself. What is too much is dropped.
pub(super) type Pushes = mpsc::Sender<PushInfo>;

/// Only the newer one has room for what the store sends by itself.
pub(super) fn protocol(pushes: Option<&Pushes>) -> ProtocolVersion {
    if pushes.is_some() { ProtocolVersion::RESP3 } else { ProtocolVersion::RESP2 }
}

pub(super) fn config(settings: &Valkey, pushes: Option<Pushes>) -> AsyncConnectionConfig {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(settings.connect_timeout))
        // Each call has bounds of its own, and what comes late is still made use of.
        .set_response_timeout(Some(LATEST))
        .set_pipeline_buffer_size(PIPELINE);
    match pushes {
        Some(pushes) => config.set_push_sender(move |info| pushes.try_send(info)),
        None => config,
    }
}

pub(super) fn client(info: ConnectionInfo, settings: &Valkey) -> RedisResult<Client> {
    if settings.tls { Client::build_with_tls(info, certificates(settings)) } else { Client::open(info) }
}

pub(super) fn info(
    settings: &Valkey,
    server: &ValkeyServer,
    password: Option<&Secret>,
    protocol: ProtocolVersion,
) -> RedisResult<ConnectionInfo> {
    let mut redis = RedisConnectionInfo::default()
        .set_protocol(protocol)
        .set_db(settings.database.into())
        .set_lib_name("flowgate", env!("CARGO_PKG_VERSION"));
    if let Some(username) = &settings.username {
        redis = redis.set_username(username);
    }
    if let Some(password) = password {
        redis = redis.set_password(password.expose());
    }
    let info = address(server, settings.tls).into_connection_info()?;
    Ok(info.set_redis_settings(redis).set_tcp_settings(tcp()))
}

fn address(server: &ValkeyServer, tls: bool) -> ConnectionAddr {
    match server {
        ValkeyServer::Tcp(host, port) if tls => {
            ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
        }
        ValkeyServer::Tcp(host, port) => ConnectionAddr::Tcp(host.clone(), *port),
        ValkeyServer::Unix(path) => ConnectionAddr::Unix(path.clone()),
    }
}

/// The configured authorities, or the system's.
pub(super) fn certificates(settings: &Valkey) -> TlsCertificates {
    TlsCertificates { client_tls: None, root_cert: settings.ca.as_ref().map(|(_, pem)| pem.to_vec()) }
}

/// A call is one small packet, which must not wait for more.
pub(super) fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}
