//! Connections, and answers read from them.

use perflab::*;
use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

pub fn connect(to: &str, tls: Option<&Arc<rustls::ClientConfig>>) -> io::Result<Io> {
    let sock = TcpStream::connect(to)?;
    sock.set_read_timeout(Some(Duration::from_secs(30)))?;
    sock.set_write_timeout(Some(Duration::from_secs(30)))?;
    Ok(match tls {
        Some(c) => Io::client(sock, c),
        None => Io::plain(sock),
    })
}

/// Reads one answer to its end; returns (status, the server will close).
/// An end of stream before any byte is ErrorKind::ConnectionAborted.
pub fn read_response(io: &mut Io, buf: &mut Vec<u8>) -> io::Result<(u16, bool)> {
    buf.clear();
    let mut tmp = [0u8; 8192];
    let bad = |m: &'static str| io::Error::new(io::ErrorKind::InvalidData, m);
    let end = loop {
        let n = io.read(&mut tmp)?;
        if n == 0 {
            let k = if buf.is_empty() { io::ErrorKind::ConnectionAborted } else { io::ErrorKind::UnexpectedEof };
            return Err(k.into());
        }
        buf.extend_from_slice(&tmp[..n]);
        if let Some(p) = find(buf, b"\r\n\r\n") {
            break p + 4;
        }
        if buf.len() > 65536 {
            return Err(bad("head too large"));
        }
    };
    let head = &buf[..end];
    let status = std::str::from_utf8(head.get(9..12).unwrap_or(b"")).ok().and_then(|s| s.parse().ok()).unwrap_or(0u16);
    let close = header(head, "connection").is_some_and(|v| v.eq_ignore_ascii_case(b"close"));
    if let Some(v) = header(head, "content-length") {
        let len: usize = std::str::from_utf8(v).ok().and_then(|s| s.parse().ok()).ok_or(bad("length"))?;
        let mut got = buf.len() - end;
        while got < len {
            let n = io.read(&mut tmp)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            got += n;
        }
    } else if header(head, "transfer-encoding").is_some() {
        let mut k = Chunked::default();
        k.feed(&buf[end..], |_| {}).map_err(|_| bad("chunk"))?;
        while !k.done {
            let n = io.read(&mut tmp)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            k.feed(&tmp[..n], |_| {}).map_err(|_| bad("chunk"))?;
        }
    }
    Ok((status, close))
}
