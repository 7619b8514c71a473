//! Makes connections as the configuration says.

use redis::cluster::ClusterClient;
use redis::{ErrorKind, RedisError, RedisResult, Role, ServerErrorKind};

use super::error::{late, no_server};
use super::link::Link;
use super::sentinels::PrimaryNamed;
use super::settings::{LATEST, Pushes, certificates, client, config, info, protocol, tcp};
use crate::config::{Secret, Valkey, ValkeyMode, ValkeyServer};

/// A Cluster's own attempts: whoever asks waits for less.
const RETRIES: u32 = 3;
const RETRY_WAIT_MS: u64 = 100;

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
