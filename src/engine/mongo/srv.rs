//! Where the servers of a `mongodb+srv` address are: SRV records, asked for over UDP, or TCP where an answer is too long.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use aws_lc_rs::rand;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::address::MongoHost;

const UNKNOWN: &str = "querySrv ENOTFOUND";
const PATIENCE: Duration = Duration::from_secs(3);
const SRV: u16 = 33;

/// The hosts of that name, which are below its domain.
pub(super) async fn hosts(name: &str) -> Result<Vec<MongoHost>, &'static str> {
    let settings = tokio::task::spawn_blocking(|| std::fs::read_to_string("/etc/resolv.conf")).await;
    let servers = settings.map_err(|_| UNKNOWN)?.map_err(|_| UNKNOWN)?;
    let asked = format!("_mongodb._tcp.{name}");
    for server in name_servers(&servers) {
        let mut id = [0_u8; 2];
        rand::fill(&mut id).map_err(|_| UNKNOWN)?;
        let Some(question) = question(id, &asked) else { return Err(UNKNOWN) };
        let answer = tokio::time::timeout(PATIENCE, ask(server, &question)).await;
        if let Ok(Some(answer)) = answer
            && let Some(found) = found(&answer, id)
        {
            let domain = name.split_once('.').map_or(name, |(_, domain)| domain).to_ascii_lowercase();
            let below = |host: &MongoHost| host.host.to_ascii_lowercase().ends_with(&format!(".{domain}"));
            let found: Vec<MongoHost> = found.into_iter().filter(below).collect();
            return if found.is_empty() { Err(UNKNOWN) } else { Ok(found) };
        }
    }
    Err(UNKNOWN)
}

fn name_servers(settings: &str) -> Vec<SocketAddr> {
    let listed = settings.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let addresses = listed.filter_map(|rest| rest.trim().parse::<IpAddr>().ok());
    addresses.map(|address| SocketAddr::new(address, 53)).collect()
}

async fn ask(server: SocketAddr, question: &[u8]) -> Option<Vec<u8>> {
    let any: SocketAddr = if server.is_ipv4() { "0.0.0.0:0".parse().ok()? } else { "[::]:0".parse().ok()? };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(server).await.ok()?;
    socket.send(question).await.ok()?;
    let mut answer = vec![0; 4096];
    let length = socket.recv(&mut answer).await.ok()?;
    answer.truncate(length);
    let is_cut = answer.get(2).is_some_and(|flags| flags & 0x02 != 0);
    if !is_cut {
        return Some(answer);
    }
    let mut stream = TcpStream::connect(server).await.ok()?;
    let length = u16::try_from(question.len()).ok()?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await.ok()?;
    let mut answer = vec![0; usize::from(stream.read_u16().await.ok()?)];
    stream.read_exact(&mut answer).await.ok()?;
    Some(answer)
}

fn question(id: [u8; 2], name: &str) -> Option<Vec<u8>> {
    // One question, to be answered to the end; and room for a long answer.
    let mut bytes = [&id[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 1]].concat();
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?;
        bytes.push(length);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&SRV.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    bytes.extend_from_slice(&[0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
    Some(bytes)
}

/// What an answer lists; `None`: it is none to that question.
fn found(answer: &[u8], id: [u8; 2]) -> Option<Vec<MongoHost>> {
    let number = |at: usize| Some(u16::from_be_bytes(answer.get(at..at + 2)?.try_into().ok()?));
    let is_answer = answer.get(2)? & 0x80 != 0 && answer.get(3)? % 16 == 0;
    if answer.get(..2)? != id || !is_answer {
        return None;
    }
    let mut at = 12;
    for _ in 0..number(4)? {
        at = name_at(answer, at)?.1 + 4;
    }
    let mut hosts = Vec::new();
    for _ in 0..number(6)? {
        at = name_at(answer, at)?.1;
        let (kind, length) = (number(at)?, usize::from(number(at + 8)?));
        let data = at + 10;
        if kind == SRV {
            hosts.push(MongoHost { host: name_at(answer, data + 6)?.0, port: number(data + 4)? });
        }
        at = data + length;
    }
    Some(hosts)
}

/// A name, which may go on elsewhere, and where it ends.
fn name_at(bytes: &[u8], start: usize) -> Option<(String, usize)> {
    let (mut name, mut at, mut end) = (String::new(), start, None);
    // A name has at most 127 labels, and no more steps aside than that.
    for _ in 0..256 {
        let length = usize::from(*bytes.get(at)?);
        match length {
            0 => return Some((name, end.unwrap_or(at + 1))),
            1..64 => {
                let label = bytes.get(at + 1..at + 1 + length)?;
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(std::str::from_utf8(label).ok()?);
                at += 1 + length;
            }
            192.. => {
                end.get_or_insert(at + 2);
                at = (length & 0x3f) << 8 | usize::from(*bytes.get(at + 1)?);
            }
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read() {
        let mut answer = question([7, 8], "_mongodb._tcp.c.example.net").unwrap();
        answer[2] = 0x81;
        answer[7] = 2;
        answer.truncate(answer.len() - 11);
        for (port, label) in [(27017_u16, b"\x02s1"), (27018, b"\x02s2")] {
            answer.extend_from_slice(&[0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 11, 0, 0, 0, 0]);
            answer.extend_from_slice(&port.to_be_bytes());
            answer.extend_from_slice(label);
            // `example.net` of the question.
            answer.extend_from_slice(&[0xc0, 28]);
        }
        let hosts = found(&answer, [7, 8]).unwrap();
        let host = |host: &str, port| MongoHost { host: host.to_owned(), port };
        assert_eq!(hosts, [host("s1.example.net", 27017), host("s2.example.net", 27018)]);
        assert_eq!(found(&answer, [7, 9]), None);
        for cut in 0..answer.len() {
            let _ = found(&answer[..cut], [7, 8]);
        }
        let looped = [&answer[..12], &[0xc0, 12]].concat();
        assert_eq!(found(&looped, [7, 8]), None);
    }

    #[test]
    fn name_servers_are_read() {
        let text = "# none\nnameserver 10.0.0.1\nsearch x\n nameserver ::1\nnameserver nobody\n";
        assert_eq!(name_servers(text), ["10.0.0.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
    }
}
