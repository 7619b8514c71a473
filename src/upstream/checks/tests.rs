use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::client::{Reach, Timeouts};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\npong";

/// Two servers at one port, of which each counts on.
async fn servers() -> [TcpListener; 2] {
    loop {
        let one = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = SocketAddr::from(([127, 0, 0, 2], one.local_addr().unwrap().port()));
        if let Ok(two) = TcpListener::bind(address).await {
            return [one, two];
        }
    }
}

/// Answers one request.
async fn answer(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        assert!(stream.read_buf(&mut request).await.unwrap() > 0);
    }
    stream.write_all(ANSWER).await.unwrap();
}

fn watched(endpoints: &Endpoints, host: &str, port: u16) -> WatchedUrl {
    let second = Duration::from_secs(1);
    let timeouts = Timeouts { connect: second, response: second };
    let origin = Origin::new(host, port, None, Reach::Any, timeouts).unwrap();
    let url = endpoints.url("test", &origin);
    WatchedUrl { upstream: "test".into(), origin, url, check: Some(Arc::default()), dns_refresh: second }
}

#[tokio::test]
async fn each_address_of_a_name_is_asked_by_itself() {
    let listeners = servers().await;
    let addresses = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    let endpoints = Endpoints::default();
    let watched = watched(&endpoints, "flowise.invalid", addresses[0].port());
    assert!(watched.url.resolved(&addresses));
    let [one, two] = &listeners;
    let check = HealthCheck::default();
    let client = Client::new(|_| false);
    for member in &**watched.url.members() {
        let (asked, ()) = tokio::join!(ask(&client, &watched.origin, &member.peer, &check), async {
            answer(if member.peer.address() == Some(addresses[0]) { one } else { two }).await;
        });
        asked.unwrap();
    }
    drop(listeners);
    for member in &**watched.url.members() {
        let refused = ask(&client, &watched.origin, &member.peer, &check).await.unwrap_err();
        assert_eq!(refused.result(), CheckResult::Refused);
    }
}

#[tokio::test]
async fn a_name_is_looked_up_again() {
    let endpoints = Endpoints::default();
    let watched = watched(&endpoints, "localhost", 3000);
    let stale = [1, 2].map(|host| SocketAddr::from(([192, 0, 2, host], 3000)));
    assert!(watched.url.resolved(&stale));
    let seen =
        |watched: &WatchedUrl| watched.url.members().iter().map(|member| member.peer.address()).collect::<Vec<_>>();
    assert!(refresh(&watched).await.is_ok());
    let now = client::look_up(&watched.origin).await.unwrap();
    let expected = if now.len() == 1 { vec![None] } else { now.into_iter().map(Some).collect() };
    assert_eq!(seen(&watched), expected);
    // A name that is not known any more stands for what it stood for.
    let lost = self::watched(&endpoints, "flowise.invalid", 3000);
    assert!(lost.url.resolved(&stale));
    assert!(refresh(&lost).await.is_err());
    assert_eq!(seen(&lost), stale.map(Some));
}
