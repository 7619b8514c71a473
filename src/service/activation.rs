//! Sockets that systemd has bound for us, as `sd_listen_fds(3)` says: numbers from 3 on, with names.

use std::net::TcpListener;

/// A listening socket, and what its unit calls it.
#[derive(Debug)]
pub(crate) struct ActivatedSocket {
    pub(crate) name: String,
    pub(crate) socket: TcpListener,
}

/// Sockets were handed over that are of no use.
#[derive(Debug, thiserror::Error)]
#[error("the socket `{name}` that systemd handed over is no listening TCP socket")]
pub(crate) struct UnusableSocket {
    name: String,
    source: std::io::Error,
}

/// What was handed over. To be called once, before threads are started.
///
/// # Errors
/// One of them is no TCP socket.
pub(crate) fn sockets() -> Result<Vec<ActivatedSocket>, UnusableSocket> {
    // The library takes numbers for ours that are not said to be another process's.
    if std::env::var_os("LISTEN_PID").is_none() {
        return Ok(Vec::new());
    }
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut given = listenfd::ListenFd::from_env();
    let mut sockets = Vec::with_capacity(given.len());
    for index in 0..given.len() {
        let name = names.next().unwrap_or_default().to_owned();
        match given.take_tcp_listener(index) {
            Ok(Some(socket)) => sockets.push(ActivatedSocket { name, socket }),
            Ok(None) => {}
            Err(source) => return Err(UnusableSocket { name, source }),
        }
    }
    Ok(sockets)
}
