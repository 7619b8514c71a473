//! Listening sockets that were not bound here: by systemd, or by the process whose place this one takes.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use crate::server::Bound;
use crate::service::activation::ActivatedSocket;

/// What is handed over of one listener, beside its sockets.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct HandedListener {
    /// `http`, `https`, `ext_auth` or `admin`.
    name: String,
    /// The address that the configuration names, which may leave the port open.
    configured: SocketAddr,
    /// systemd bound them, wherever the configuration would have.
    is_activated: bool,
    pub(super) sockets: usize,
}

/// A listener of this process, to be handed over one day.
#[derive(Debug)]
pub(crate) struct HeldListener {
    pub(super) listener: HandedListener,
    pub(super) copies: Vec<TcpListener>,
}

/// See the module. Each is taken once.
#[derive(Debug, Default)]
pub(crate) struct InheritedListeners(Vec<InheritedSockets>);

#[derive(Debug)]
struct InheritedSockets {
    name: String,
    /// `None`: systemd does not know it.
    configured: Option<SocketAddr>,
    is_activated: bool,
    sockets: Vec<TcpListener>,
}

/// Why sockets cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnfitSocket {
    #[error(
        "systemd handed over the socket `{name}` ({address}), which is no listener of the configuration: \
         name it http, https, ext_auth or admin (FileDescriptorName=), and configure that listener"
    )]
    Unwanted { name: String, address: String },
    #[error("the sockets that were handed over for `{name}` cannot be used")]
    Unusable { name: &'static str, source: io::Error },
}

impl InheritedListeners {
    /// Sockets that systemd has bound.
    pub(crate) fn activated(sockets: Vec<ActivatedSocket>) -> Self {
        let mut all: Vec<InheritedSockets> = Vec::new();
        for ActivatedSocket { name, socket } in sockets {
            match all.iter_mut().find(|known| is_of_a_listener(&name) && known.name == name) {
                Some(known) => known.sockets.push(socket),
                None => {
                    all.push(InheritedSockets { name, configured: None, is_activated: true, sockets: vec![socket] });
                }
            }
        }
        Self(all)
    }

    /// Sockets of the predecessor, in the order of its listeners.
    pub(super) fn handed_over(listeners: Vec<HandedListener>, sockets: Vec<OwnedFd>) -> Self {
        let mut sockets = sockets.into_iter().map(TcpListener::from);
        let inherited = listeners.into_iter().map(|listener| InheritedSockets {
            sockets: sockets.by_ref().take(listener.sockets).collect(),
            name: listener.name,
            configured: Some(listener.configured),
            is_activated: listener.is_activated,
        });
        Self(inherited.collect())
    }

    /// The sockets for a listener, which are bound if nobody has done so; and what is to be kept of it.
    pub(in crate::app) fn bind(
        &mut self,
        name: &'static str,
        configured: SocketAddr,
        workers: usize,
        bind: impl FnOnce(SocketAddr, usize) -> Result<Bound, crate::app::StartError>,
    ) -> Result<(Bound, HeldListener), crate::app::StartError> {
        let unusable = |source| UnfitSocket::Unusable { name, source };
        let (bound, is_activated) = match self.0.iter().position(|known| known.is_for(name, configured)) {
            Some(index) => {
                let known = self.0.swap_remove(index);
                (Bound::adopt(known.sockets).map_err(unusable)?, known.is_activated)
            }
            None => (bind(configured, workers)?, false),
        };
        let copies = bound.copies().map_err(unusable)?;
        let listener = HandedListener { name: name.to_owned(), configured, is_activated, sockets: copies.len() };
        Ok((bound, HeldListener { listener, copies }))
    }

    /// What is left must be known to be of no use: a socket that nobody accepts from would let its clients wait for ever.
    pub(in crate::app) fn finish(self) -> Result<(), UnfitSocket> {
        for InheritedSockets { name, is_activated, sockets, .. } in self.0 {
            let address = sockets.first().and_then(|socket| socket.local_addr().ok());
            let address = address.map_or_else(|| "?".to_owned(), |address| address.to_string());
            if is_activated {
                return Err(UnfitSocket::Unwanted { name, address });
            }
            tracing::info!(listener = name, address, "no longer a listener of the configuration");
        }
        Ok(())
    }
}

impl InheritedSockets {
    fn is_for(&self, name: &str, configured: SocketAddr) -> bool {
        match (self.configured, self.is_activated) {
            (Some(before), false) => self.name == name && before == configured,
            (Some(_), true) => self.name == name,
            (None, _) if is_of_a_listener(&self.name) => self.name == name,
            // Systemd's own name for it: the unit's. Then the address tells.
            (None, _) => self.sockets.iter().any(|socket| socket.local_addr().is_ok_and(|bound| bound == configured)),
        }
    }
}

fn is_of_a_listener(name: &str) -> bool {
    matches!(name, "http" | "https" | "ext_auth" | "admin")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::StartError;

    fn socket() -> (SocketAddr, TcpListener) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        (socket.local_addr().unwrap(), socket)
    }

    fn refuse(_: SocketAddr, _: usize) -> Result<Bound, StartError> {
        panic!("somebody has bound it")
    }

    #[test]
    fn a_socket_of_systemd_is_found_by_its_name_or_by_its_address() {
        let ((named, first), (by_address, second)) = (socket(), socket());
        let other: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let mut inherited = InheritedListeners::activated(vec![
            ActivatedSocket { name: "https".into(), socket: first },
            ActivatedSocket { name: "flowgate.socket".into(), socket: second },
        ]);
        assert_eq!(inherited.bind("https", other, 2, refuse).unwrap().0.address, named);
        assert_eq!(inherited.bind("http", by_address, 2, refuse).unwrap().0.address, by_address);
        inherited.finish().unwrap();
    }

    #[test]
    fn a_socket_that_nobody_would_accept_from_is_refused() {
        let (address, socket) = socket();
        let inherited = InheritedListeners::activated(vec![ActivatedSocket { name: "http".into(), socket }]);
        let told = inherited.finish().unwrap_err().to_string();
        assert!(told.contains(&address.to_string()) && told.contains("`http`"), "{told}");
    }

    #[test]
    fn a_listener_that_moves_is_bound_anew() {
        let ((_, first), (_, second)) = (socket(), socket());
        let (before, now): (SocketAddr, SocketAddr) = ("127.0.0.1:0".parse().unwrap(), "127.0.0.2:0".parse().unwrap());
        let handed = |name: &str, is_activated| HandedListener {
            name: name.into(),
            configured: before,
            is_activated,
            sockets: 1,
        };
        let mut inherited = InheritedListeners::handed_over(
            vec![handed("http", false), handed("admin", true)],
            vec![first.into(), second.into()],
        );
        let (bound, _) =
            inherited.bind("http", now, 1, |address, count| Ok(crate::server::bind(address, count).unwrap())).unwrap();
        assert_eq!(bound.address.ip(), now.ip());
        let (_, held) = inherited.bind("admin", now, 1, refuse).unwrap();
        assert!(held.listener.is_activated && held.copies.len() == 1);
        inherited.finish().unwrap();
    }
}
