//! Against a server on the loopback that answers in turn.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::message::sent;
use super::*;
use crate::engine::models::lab;
use crate::engine::provider::Targets;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    sent(kind, body)
}

/// The body of the client's next message.
async fn heard(stream: &mut TcpStream, kind: u8) -> Vec<u8> {
    assert_eq!(stream.read_u8().await.unwrap(), kind);
    let length = stream.read_u32().await.unwrap();
    let mut body = vec![0; length as usize - 4];
    stream.read_exact(&mut body).await.unwrap();
    body
}

async fn asked(answers: Vec<Vec<u8>>) -> (String, Result<FoundRows, Failure>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let metrics = crate::telemetry::metrics::Metrics::new().unwrap();
    let targets = Targets::alone("test", &metrics).allowing(&["127.0.0.0/8".parse().unwrap()]);
    let server = targets.server("127.0.0.1", port, false, false).unwrap();
    let of = str::to_owned;
    let postgres = Postgres { server, user: of("u"), password: Secret::new(of("p")), database: of("d") };
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let length = stream.read_u32().await.unwrap();
        let mut startup = vec![0; length as usize - 4];
        stream.read_exact(&mut startup).await.unwrap();
        assert!(startup.ends_with(b"user\0u\0database\0d\0client_encoding\0UTF8\0\0"));
        stream.write_all(&message(b'R', &[0, 0, 0, 3])).await.unwrap();
        assert_eq!(heard(&mut stream, b'p').await, b"p\0");
        let ready = [message(b'R', &[0; 4]), message(b'S', b"a\0b\0"), message(b'Z', b"I")].concat();
        stream.write_all(&ready).await.unwrap();
        let parse = heard(&mut stream, b'P').await;
        let bind = heard(&mut stream, b'B').await;
        for kind in [b'D', b'E', b'S'] {
            heard(&mut stream, kind).await;
        }
        stream.write_all(&answers.concat()).await.unwrap();
        format!("{} {}", String::from_utf8_lossy(&parse), String::from_utf8_lossy(&bind)).replace('\0', "")
    };
    let statement = [("SELECT $1".to_owned(), vec!["it's".to_owned()])];
    let work = Box::pin(lab::at_provider(serde_json::json!({}), &[], async |_, run: &Run<'_>| {
        tokio::join!(serving, postgres.run(&statement, run))
    }));
    work.await.1
}

#[tokio::test]
async fn parameters_stand_beside_statements_and_rows_are_texts() {
    let column = [&[0, 1][..], b"id\0", &[0; 18]].concat();
    let row = [&[0, 1, 0, 0, 0, 1][..], b"7"].concat();
    let answers = vec![
        message(b'1', &[]),
        message(b'2', &[]),
        message(b'T', &column),
        message(b'D', &row),
        message(b'C', b"SELECT 1\0"),
        message(b'Z', b"I"),
    ];
    let (sent, rows) = asked(answers).await;
    let rows = rows.unwrap();
    assert!(sent.starts_with("SELECT $1 ") && sent.contains("it's"), "{sent:?}");
    assert_eq!(rows.value(&rows.rows[0], "id"), Some("7"));
    assert_eq!(rows.value(&rows.rows[0], "none"), None);
}

#[tokio::test]
async fn errors_are_told_in_the_servers_words() {
    let (_, rows) = asked(vec![message(b'E', b"SERROR\0Mno such table\0\0")]).await;
    assert!(format!("{:?}", rows.unwrap_err()).contains("no such table"));
}

#[tokio::test]
async fn rows_of_nothing_have_an_end() {
    let row = message(b'D', &[0, 0]);
    let few = [row.repeat(1000), message(b'C', b"SELECT\0"), message(b'Z', b"I")].concat();
    assert_eq!(asked(vec![few]).await.1.unwrap().rows.len(), 1000);
    let (_, rows) = asked(vec![row.repeat(100_000)]).await;
    assert!(format!("{:?}", rows.unwrap_err()).contains("too long"));
}
