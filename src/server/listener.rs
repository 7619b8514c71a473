//! Binding: one socket per worker on the same address (`SO_REUSEPORT`), so that the kernel spreads connections and
//! no worker waits for another.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// The sockets of one address: one a worker if they were bound here, and as many as there were if somebody else did.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) address: SocketAddr,
    sockets: Vec<TcpListener>,
}

impl Bound {
    /// Sockets of one address that somebody else has bound.
    ///
    /// # Errors
    /// There are none, or they are of no use.
    pub(crate) fn adopt(sockets: Vec<TcpListener>) -> io::Result<Self> {
        let first = sockets.first().ok_or_else(|| io::Error::other("no socket was handed over"))?;
        let address = first.local_addr()?;
        for socket in &sockets {
            if socket.local_addr()? != address {
                return Err(io::Error::other("the sockets that were handed over are of several addresses"));
            }
            socket.set_nonblocking(true)?;
        }
        Ok(Self { address, sockets })
    }

    /// The same sockets once more: whoever has them keeps what waits in their queues.
    pub(crate) fn copies(&self) -> io::Result<Vec<TcpListener>> {
        self.sockets.iter().map(TcpListener::try_clone).collect()
    }

    /// What each of so many workers accepts from. Each socket has a worker, or connections to it would wait for ever;
    /// workers that are more than sockets share them, and whoever is first accepts.
    pub(crate) fn among(self, workers: usize) -> io::Result<Vec<Vec<TcpListener>>> {
        let mut shares: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
        for number in 0..workers.saturating_sub(self.sockets.len()) {
            if let (Some(share), Some(socket)) =
                (shares.get_mut(self.sockets.len() + number), self.sockets.get(number % self.sockets.len().max(1)))
            {
                share.push(socket.try_clone()?);
            }
        }
        for (number, socket) in self.sockets.into_iter().enumerate() {
            if let Some(share) = shares.get_mut(number % workers.max(1)) {
                share.push(socket);
            }
        }
        Ok(shares)
    }
}

/// Binds `count` sockets to one address; port 0 asks the system for one.
///
/// # Errors
/// The address is in use, by whomever: `SO_REUSEPORT` alone would let two gateways share it unnoticed.
pub(crate) fn bind(address: SocketAddr, count: usize) -> io::Result<Bound> {
    drop(socket(address, false)?);
    let first = socket(address, true)?;
    let address = first.local_addr()?;
    let mut sockets = Vec::with_capacity(count);
    sockets.push(first);
    while sockets.len() < count {
        sockets.push(socket(address, true)?);
    }
    Ok(Bound { address, sockets })
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // `[::]` means every address, of IPv4 as well.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if shared {
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_refused_and_workers_share_one() {
        let bound = bind("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        assert_eq!(bound.sockets.len(), 3);
        assert!(bound.sockets.iter().all(|socket| socket.local_addr().unwrap() == bound.address));
        assert_eq!(bind(bound.address, 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn each_socket_has_a_worker_and_each_worker_a_socket() {
        for (sockets, workers, expected) in [(3, 3, [1, 1, 1]), (1, 3, [1, 1, 1]), (2, 3, [1, 1, 1]), (5, 3, [2, 2, 1])]
        {
            let bound = bind("127.0.0.1:0".parse().unwrap(), sockets).unwrap();
            let shares = bound.among(workers).unwrap();
            assert_eq!(shares.iter().map(Vec::len).collect::<Vec<_>>(), expected, "{sockets} among {workers}");
        }
    }

    #[test]
    fn a_copy_keeps_what_waits_in_the_queue() {
        let bound = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let waiting = std::net::TcpStream::connect(bound.address).unwrap();
        let adopted = Bound::adopt(bound.copies().unwrap()).unwrap();
        drop(bound);
        let shares = adopted.among(1).unwrap();
        assert_eq!(shares[0][0].accept().unwrap().1, waiting.local_addr().unwrap());
        assert!(Bound::adopt(Vec::new()).is_err());
    }
}
