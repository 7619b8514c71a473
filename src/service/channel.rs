//! The socket between a process and its successor: JSON messages, and before all of them the listening sockets.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::frames;

/// Sockets that go with one byte; the kernel takes at most 253.
const AT_ONCE: usize = 64;
/// Sockets altogether: some for each of more workers than machines have cores.
const MOST: usize = 4096;
/// Bytes of one message: counts of everybody.
const LONGEST: usize = 256 << 20;

/// One end.
#[derive(Debug)]
pub(crate) struct Channel(UnixStream);

impl Channel {
    /// An end for this process, and one to be given away.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self(ours), theirs.into()))
    }

    /// The end that this process was started with, on its standard input, which reads nothing from then on.
    ///
    /// # Errors
    /// There is no socket.
    pub(super) fn from_stdin() -> io::Result<Self> {
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        // Of a terminal or a file that fails.
        stream.local_addr()?;
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        Ok(Self(stream))
    }

    /// How long each message may take.
    pub(crate) fn set_patience(&self, patience: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(patience)?;
        self.0.set_write_timeout(patience)
    }

    /// Whoever waits for a message, on either side, waits no longer.
    pub(crate) fn close(&self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }

    pub(crate) fn send(&self, message: &impl Serialize) -> io::Result<()> {
        frames::write(&self.0, &serde_json::to_vec(message)?)
    }

    /// The next message.
    ///
    /// # Errors
    /// It cannot be understood, or the other side has gone (`UnexpectedEof`).
    pub(crate) fn receive<T: DeserializeOwned>(&self) -> io::Result<T> {
        Ok(serde_json::from_slice(&frames::read(&self.0, LONGEST)?)?)
    }

    pub(crate) fn send_sockets(&self, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
        for part in sockets.chunks(AT_ONCE) {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(part)) {
                return Err(io::Error::other("too many sockets for one message"));
            }
            rustix::net::sendmsg(&self.0, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
        }
        Ok(())
    }

    pub(crate) fn receive_sockets(&self, count: usize) -> io::Result<Vec<OwnedFd>> {
        if count > MOST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too many sockets"));
        }
        let mut sockets = Vec::with_capacity(count);
        while sockets.len() < count {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let (mut byte, before) = ([0], sockets.len());
            let received = rustix::net::recvmsg(
                &self.0,
                &mut [IoSliceMut::new(&mut byte)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )?;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(more) = message {
                    sockets.extend(more);
                }
            }
            if received.bytes == 0 || received.flags.contains(ReturnFlags::CTRUNC) || sockets.len() == before {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "sockets are missing"));
            }
        }
        Ok(sockets)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn sockets_and_messages_arrive_in_their_order() {
        let (ours, theirs) = Channel::pair().unwrap();
        let theirs = Channel(theirs.into());
        let listeners: Vec<_> = (0..AT_ONCE + 3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let borrowed: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
        ours.send(&"before").unwrap();
        ours.send_sockets(&borrowed).unwrap();
        ours.send(&"after").unwrap();
        assert_eq!(theirs.receive::<String>().unwrap(), "before");
        let received = theirs.receive_sockets(listeners.len()).unwrap();
        for (sent, received) in listeners.iter().zip(received) {
            assert_eq!(sent.local_addr().unwrap(), TcpListener::from(received).local_addr().unwrap());
        }
        assert_eq!(theirs.receive::<String>().unwrap(), "after");
        drop(ours);
        assert_eq!(theirs.receive::<String>().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(theirs.receive_sockets(1).is_err() && theirs.receive_sockets(MOST + 1).is_err());
    }
}
