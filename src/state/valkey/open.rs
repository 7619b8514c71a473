//! Makes connections as the configuration says.

use std::time::Duration;

use redis::cluster::ClusterClient;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, ProtocolVersion,
    PushInfo, RedisConnectionInfo, RedisError, RedisResult, Role, ServerErrorKind, TlsCertificates,
};
use tokio::sync::mpsc;

use super::link::Link;
use super::sentinels::PrimaryNamed;
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

/// A new connection, within the time that it may take; `primary`: where Sentinels say that it is.
pub(super) async fn open(
    settings: &Valkey,
    password: Option<&Secret>,
    primary: Option<&ValkeyServer>,
) -> RedisResult<Link> {
    open_within(settings, password, primary, None).await
}

/// One over which the store may send by itself.
pub(super) async fn open_listening(
    settings: &Valkey,
    password: Option<&Secret>,
    primary: Option<&ValkeyServer>,
    pushes: Pushes,
) -> RedisResult<Link> {
    open_within(settings, password, primary, Some(pushes)).await
}

/// Where Sentinels say that the primary is, once one of them has said so. Without Sentinels nobody has to.
pub(super) async fn named(settings: &Valkey, primary: &mut PrimaryNamed) -> RedisResult<Option<ValkeyServer>> {
    if !matches!(settings.mode, ValkeyMode::Sentinel { .. }) {
        return Ok(None);
    }
    // Without a password at first, and then with it.
    let known = tokio::time::timeout(settings.connect_timeout * 2, primary.wait_for(Option::is_some)).await;
    let nobody = || RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "no Sentinel answers"));
    known.ok().and_then(Result::ok).and_then(|known| known.clone()).map(Some).ok_or_else(nobody)
}

/// A connection to a Sentinel, over which it may send by itself.
pub(super) async fn open_sentinel(
    settings: &Valkey,
    server: &ValkeyServer,
    password: Option<&Secret>,
    pushes: &Pushes,
) -> RedisResult<Link> {
    let settings = Valkey { database: 0, ..settings.clone() };
    // Sentinels often have no password although their servers do.
    let anonymous = Valkey { username: None, ..settings.clone() };
    match open_one(&anonymous, server, None, Some(pushes.clone())).await {
        Err(_) if password.is_some() => open_one(&settings, server, password, Some(pushes.clone())).await,
        outcome => outcome,
    }
}

async fn open_within(
    settings: &Valkey,
    password: Option<&Secret>,
    primary: Option<&ValkeyServer>,
    pushes: Option<Pushes>,
) -> RedisResult<Link> {
    match &settings.mode {
        ValkeyMode::Single => {
            let server = settings.servers.first().ok_or_else(no_server)?;
            open_one(settings, server, password, pushes).await
        }
        ValkeyMode::Sentinel { .. } => {
            let link = open_one(settings, primary.ok_or_else(no_server)?, password, pushes).await?;
            check_role(settings, link).await
        }
        ValkeyMode::Cluster => {
            let servers = u32::try_from(settings.servers.len()).unwrap_or(1);
            let limit = settings.connect_timeout * (servers + 1);
            tokio::time::timeout(limit, open_cluster(settings, password, pushes)).await.map_err(|_| late())?
        }
    }
}

async fn open_one(
    settings: &Valkey,
    server: &ValkeyServer,
    password: Option<&Secret>,
    pushes: Option<Pushes>,
) -> RedisResult<Link> {
    let client = client(info(settings, server, password, protocol(pushes.as_ref()))?, settings)?;
    let config = config(settings, pushes);
    let link = client.get_multiplexed_async_connection_with_config(&config);
    Ok(Link::One(tokio::time::timeout(settings.connect_timeout, link).await.map_err(|_| late())??))
}

/// One that is still named, or named already, may be a replica: what is told to it would be lost, or refused.
async fn check_role(settings: &Valkey, mut link: Link) -> RedisResult<Link> {
    let question = redis::cmd("ROLE");
    let role = tokio::time::timeout(settings.connect_timeout, question.query_async(&mut link));
    match role.await.map_err(|_| late())? {
        Ok(Role::Primary { .. }) => Ok(link),
        Ok(_) => Err(RedisError::from((ServerErrorKind::ReadOnly.into(), "it is a replica"))),
        // Who may not ask finds out when it writes.
        Err(error) if error.code() == Some("NOPERM") => Ok(link),
        Err(error) => Err(error),
    }
}

async fn open_cluster(settings: &Valkey, password: Option<&Secret>, pushes: Option<Pushes>) -> RedisResult<Link> {
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

pub(super) fn late() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))
}

fn no_server() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::AddrNotAvailable))
}
