//! Asks the admin listener of a gateway that runs: the one that a configuration names, or any by its address.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::found::{load, named_or_found};
use super::print::tell;
use crate::config::Secret;

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(20);
/// Bytes of an answer.
const LONGEST: u64 = 16 << 20;
const PORT: u16 = 9090;
/// The gateway cannot be asked, or says nothing that is understood.
pub(super) const UNREACHABLE: u8 = 2;

#[derive(Debug, Args)]
pub(super) struct AdminPlace {
    /// Configuration file that names the admin listener and its token [default: as for `serve`]
    #[arg(long, value_name = "FILE", env = "FLOWGATE_CONFIG")]
    config: Option<PathBuf>,
    /// Address of the admin listener, e.g. <http://127.0.0.1:9090>, in place of a configuration
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// File with the admin token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum AdminError {
    /// With the address.
    Unreachable(String, io::Error),
    /// What the gateway says.
    Refused(u16, String),
}

/// One admin listener.
#[derive(Debug)]
pub(super) struct AdminClient {
    /// Host and port, as in a URL.
    authority: String,
    token: Option<Secret>,
}

impl AdminPlace {
    /// Whom to ask, or says why that cannot be told.
    pub(super) fn client(&self) -> Result<AdminClient, ExitCode> {
        let given = self.token_file.as_ref().map(|path| {
            std::fs::read_to_string(path).map_err(|error| {
                tell(format_args!("{}: {error}", path.display()));
                ExitCode::from(UNREACHABLE)
            })
        });
        let given = given.transpose()?.map(|token| Secret::new(token.trim().to_owned()));
        if let Some(url) = &self.admin {
            let authority = authority(url).ok_or_else(|| {
                tell(format_args!("--admin: expected an address such as http://127.0.0.1:9090"));
                ExitCode::from(UNREACHABLE)
            })?;
            return Ok(AdminClient { authority, token: given });
        }
        let config = load(&named_or_found(self.config.clone())?)?;
        let authority = reachable(config.admin.listen).to_string();
        Ok(AdminClient { authority, token: given.or(config.admin.token) })
    }
}

/// Host and port of a URL of cleartext HTTP.
fn authority(url: &str) -> Option<String> {
    let rest = url.strip_prefix("http://").or_else(|| (!url.contains("://")).then_some(url))?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let is_plain = !authority.is_empty()
        && authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    is_plain.then(|| if has_port { authority.to_owned() } else { format!("{authority}:{PORT}") })
}

/// A listener on all addresses is reached on this machine's own.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

impl AdminClient {
    pub(super) fn get(&self, path: &str) -> Result<Value, AdminError> {
        self.call("GET", path, "")
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, AdminError> {
        self.call("POST", path, &body.to_string())
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Result<Value, AdminError> {
        let (status, body) = self.exchange(method, path, body).map_err(|error| self.unreachable(error))?;
        let answer = serde_json::from_slice::<Value>(&body);
        match (status, answer) {
            (200..=299, Ok(answer)) => Ok(answer),
            (200..=299, Err(_)) => Err(self.unreachable(io::Error::other("the answer is not JSON"))),
            (status, answer) => {
                let says = answer.ok().and_then(|answer| Some(answer.get("error")?.as_str()?.to_owned()));
                Err(AdminError::Refused(status, says.unwrap_or_else(|| "no reason".to_owned())))
            }
        }
    }

    fn unreachable(&self, error: io::Error) -> AdminError {
        AdminError::Unreachable(format!("http://{}", self.authority), error)
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> io::Result<(u16, Vec<u8>)> {
        let mut stream = self.connect()?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept: application/json\r\n",
            self.authority
        );
        if !body.is_empty() {
            head += "Content-Type: application/json\r\n";
        }
        let length = body.len().to_string();
        head = [head.as_str(), "Content-Length: ", &length, "\r\n"].concat();
        stream.write_all(head.as_bytes())?;
        if let Some(token) = &self.token {
            for part in ["Authorization: Bearer ", token.expose(), "\r\n"] {
                stream.write_all(part.as_bytes())?;
            }
        }
        stream.write_all(b"\r\n")?;
        stream.write_all(body.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer)?;
        parsed(&answer).ok_or_else(|| io::Error::other("the answer is not that of a gateway"))
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::other("the name stands for no address");
        for address in self.authority.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// Status and body of a whole answer, whose length is known.
fn parsed(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(answer).ok()? else { return None };
    let field = |name: &str| head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
    let body = answer.get(length..)?;
    let declared = field("content-length").and_then(|field| std::str::from_utf8(field.value).ok()?.parse().ok());
    let body = declared.map_or(Some(body), |declared: usize| body.get(..declared))?;
    Some((head.code?, body.to_vec()))
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(address, error) => write!(f, "the gateway's admin listener {address}: {error}"),
            Self::Refused(401, _) => write!(f, "the admin listener wants its token: --token-file FILE"),
            Self::Refused(404, _) => write!(f, "the admin listener has no console: it is off, or the gateway is older"),
            Self::Refused(status, says) => write!(f, "the admin listener says {status}: {says}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_people_write_it() {
        for (url, expected) in [
            ("http://127.0.0.1:9090", Some("127.0.0.1:9090")),
            ("http://gateway/", Some("gateway:9090")),
            ("localhost:1", Some("localhost:1")),
            ("http://[::1]:9090", Some("[::1]:9090")),
            ("https://gateway", None),
            ("http://", None),
            ("http://a/b", None),
        ] {
            assert_eq!(authority(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn an_answer_is_whole_or_none() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(parsed(answer), Some((200, b"{}".to_vec())));
        for length in 0..answer.len() {
            assert_eq!(parsed(&answer[..length]), None, "{length}");
        }
    }
}
