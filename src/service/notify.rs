//! What systemd is told, as `sd_notify(3)` says: datagrams to the socket of `NOTIFY_SOCKET`. Without one nobody is told.
//!
//! A message that does not arrive changes nothing: systemd has time limits of its own.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Connections are taken, or what was read anew is in force.
pub(crate) fn ready(status: &str) {
    tell(&format!("READY=1\n{}", status_line(status)));
}

/// Files are read anew; [`ready`] follows.
pub(crate) fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}\n{}", status_line("reloading")));
}

pub(crate) fn stopping(status: &str) {
    tell(&format!("STOPPING=1\n{}", status_line(status)));
}

/// Which process is the service from now on.
pub(crate) fn main_process(pid: u32) {
    tell(&format!("MAINPID={pid}"));
}

pub(crate) fn alive() {
    tell("WATCHDOG=1");
}

/// How long systemd waits for [`alive`], if it does.
pub(crate) fn watchdog() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_for_us = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|time| is_for_us && *time > 0).map(Duration::from_micros)
}

/// A line of its own, whatever is in it.
fn status_line(status: &str) -> String {
    format!("STATUS={}", status.replace(['\n', '\r'], " "))
}

fn tell(message: &str) {
    let Some(place) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&place, message) {
        tracing::debug!(%error, "NOTIFY_SOCKET takes no message");
    }
}

fn send(place: &OsStr, message: &str) -> io::Result<()> {
    let address = match place.as_bytes().split_first() {
        // Of the abstract namespace.
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(place)?,
    };
    let socket = UnixDatagram::unbound()?;
    // Nobody who serves waits for a service manager that reads nothing.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(message.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut message = [0; 256];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    #[test]
    fn messages_arrive_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), "READY=1").unwrap();
        assert_eq!(received(&by_path), "READY=1");
        let name = format!("flowgate-notify-{}", std::process::id());
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(OsStr::new(&format!("@{name}")), "WATCHDOG=1").unwrap();
        assert_eq!(received(&by_name), "WATCHDOG=1");
        assert!(send(OsStr::new("/nowhere/at/all"), "READY=1").is_err());
    }

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(status_line("a\nMAINPID=1"), "STATUS=a MAINPID=1");
    }
}
