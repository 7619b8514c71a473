//! Makes connections as the configuration says.

use std::time::Duration;

use redis::cluster::ClusterClient;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion, PushInfo,
    RedisConnectionInfo, RedisError, RedisResult, TlsCertificates, TlsMode,
};
use tokio::sync::mpsc;

use super::link::Link;
use crate::config::{Secret, Valkey, ValkeyMode, ValkeyServer};

/// An answer that comes so late is of no more use to anybody.
pub(super) const LATEST: Duration = Duration::from_secs(5);
/// Commands that wait for the connection's task.
const PIPELINE: usize = 1024;
/// A Cluster's own attempts: whoever asks waits for less.
const RETRIES: u32 = 3;
const RETRY_WAIT_MS: u64 = 100;

/// Where a connection puts what the store sends by itself. What is too much is dropped.
type Pushes = mpsc::Sender<PushInfo>;

/// A new connection, within the time that it may take.
pub(super) async fn open(settings: &Valkey, password: Option<&Secret>) -> RedisResult<Link> {
    open_within(settings, password, None).await
}

/// One over which the store may send by itself.
pub(super) async fn open_listening(settings: &Valkey, password: Option<&Secret>, pushes: Pushes) -> RedisResult<Link> {
    open_within(settings, password, Some(pushes)).await
}

async fn open_within(settings: &Valkey, password: Option<&Secret>, pushes: Option<Pushes>) -> RedisResult<Link> {
    // A Sentinel is asked, and then the server that it names.
    let servers = u32::try_from(settings.servers.len()).unwrap_or(1);
    let limit = match settings.mode {
        ValkeyMode::Single => settings.connect_timeout,
        ValkeyMode::Sentinel { .. } | ValkeyMode::Cluster => settings.connect_timeout * (servers + 1),
    };
    let late = || RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
    tokio::time::timeout(limit, opened(settings, password, pushes)).await.map_err(|_| late())?
}

async fn opened(settings: &Valkey, password: Option<&Secret>, pushes: Option<Pushes>) -> RedisResult<Link> {
    match &settings.mode {
        ValkeyMode::Single => {
            let server = settings.servers.first().ok_or_else(no_server)?;
            let info = info(settings, server, password, protocol(pushes.as_ref()))?;
            let client = client(info, settings)?;
            Ok(Link::One(client.get_multiplexed_async_connection_with_config(&config(settings, pushes)).await?))
        }
        ValkeyMode::Sentinel { master_name } => {
            // Sentinels often have no password although their servers do.
            match primary(settings, master_name, password, None, pushes.clone()).await {
                Err(_) if password.is_some() => primary(settings, master_name, password, password, pushes).await,
                outcome => outcome,
            }
        }
        ValkeyMode::Cluster => {
            let protocol = protocol(pushes.as_ref());
            let infos: RedisResult<Vec<_>> =
                settings.servers.iter().map(|server| info(settings, server, password, protocol)).collect();
            let mut builder = ClusterClient::builder(infos?)
                .connection_timeout(settings.connect_timeout)
                .response_timeout(LATEST)
                .retries(RETRIES)
                .max_retry_wait(RETRY_WAIT_MS)
                .tcp_settings(tcp());
            if settings.tls {
                builder = builder.certs(certificates(settings));
            }
            if let Some(pushes) = pushes {
                builder = builder.use_protocol(protocol).push_sender(move |info| pushes.try_send(info));
            }
            Ok(Link::Cluster(builder.build()?.get_async_connection().await?))
        }
    }
}

/// The server that Sentinels name.
async fn primary(
    settings: &Valkey,
    master_name: &str,
    password: Option<&Secret>,
    of_sentinels: Option<&Secret>,
    pushes: Option<Pushes>,
) -> RedisResult<Link> {
    let sentinels = settings.servers.iter().map(|server| address(server, settings.tls));
    let mut builder = SentinelClientBuilder::new(sentinels, master_name, SentinelServerType::Master)?
        .set_client_to_redis_tcp_settings(tcp())
        .set_client_to_redis_db(settings.database.into())
        .set_client_to_redis_protocol(protocol(pushes.as_ref()));
    if let Some(username) = &settings.username {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = password {
        builder = builder.set_client_to_redis_password(password.expose());
    }
    if let Some(password) = of_sentinels {
        builder = builder.set_client_to_sentinel_password(password.expose());
        if let Some(username) = &settings.username {
            builder = builder.set_client_to_sentinel_username(username);
        }
    }
    if settings.tls {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates(settings))
            .set_client_to_sentinel_certificates(certificates(settings));
    }
    let mut client = builder.build()?;
    Ok(Link::One(client.get_async_connection_with_config(&config(settings, pushes)).await?))
}

/// Only the newer one has room for what the store sends by itself.
fn protocol(pushes: Option<&Pushes>) -> ProtocolVersion {
    if pushes.is_some() { ProtocolVersion::RESP3 } else { ProtocolVersion::RESP2 }
}

fn config(settings: &Valkey, pushes: Option<Pushes>) -> AsyncConnectionConfig {
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

fn client(info: ConnectionInfo, settings: &Valkey) -> RedisResult<Client> {
    if settings.tls { Client::build_with_tls(info, certificates(settings)) } else { Client::open(info) }
}

fn info(
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
fn certificates(settings: &Valkey) -> TlsCertificates {
    TlsCertificates { client_tls: None, root_cert: settings.ca.as_ref().map(|(_, pem)| pem.to_vec()) }
}

/// A call is one small packet, which must not wait for more.
fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn no_server() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::AddrNotAvailable))
}
