//! For tests: a Postgres on the loopback that answers each statement as a test says.

use std::convert::Infallible;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::message::sent;

/// Names of columns, and rows.
pub(crate) type StubRows = (Vec<&'static str>, Vec<Vec<Option<String>>>);

/// Serves connections until it is dropped.
pub(crate) async fn serve(listener: &TcpListener, mut answer: impl FnMut(&str, &[String]) -> StubRows) -> Infallible {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let length = stream.read_u32().await.unwrap();
        let mut startup = vec![0; length as usize - 4];
        stream.read_exact(&mut startup).await.unwrap();
        stream.write_all(&[sent(b'R', &[0; 4]), sent(b'Z', b"I")].concat()).await.unwrap();
        let (mut statement, mut parameters) = (String::new(), Vec::new());
        while let Ok((kind, body)) = heard(&mut stream).await {
            match kind {
                b'P' => statement = text(body.split(|byte| *byte == 0).nth(1).unwrap()),
                b'B' => parameters = bound(&body),
                b'S' => stream.write_all(&written(answer(&statement, &parameters))).await.unwrap(),
                b'X' => break,
                _ => {}
            }
        }
    }
}

async fn heard(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await?;
    let length = stream.read_u32().await?;
    let mut body = vec![0; length as usize - 4];
    stream.read_exact(&mut body).await?;
    Ok((kind, body))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The parameters of a statement, behind two empty names and no formats.
fn bound(body: &[u8]) -> Vec<String> {
    let count = u16::from_be_bytes([body[4], body[5]]);
    let mut rest = &body[6..];
    let mut parameters = Vec::new();
    for _ in 0..count {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        parameters.push(text(&rest[4..4 + length]));
        rest = &rest[4 + length..];
    }
    parameters
}

fn written((columns, rows): StubRows) -> Vec<u8> {
    let count = |number: usize| u16::try_from(number).unwrap().to_be_bytes().to_vec();
    let mut all = [sent(b'1', &[]), sent(b'2', &[])].concat();
    if columns.is_empty() {
        all.extend(sent(b'n', &[]));
    } else {
        let named = columns.iter().flat_map(|name| [name.as_bytes(), &[0; 19]].concat());
        all.extend(sent(b'T', &count(columns.len()).into_iter().chain(named).collect::<Vec<u8>>()));
    }
    for row in rows {
        let mut body = count(row.len());
        for value in row {
            let length = value.as_ref().map_or(-1, |value| i32::try_from(value.len()).unwrap());
            body.extend(length.to_be_bytes());
            body.extend(value.unwrap_or_default().into_bytes());
        }
        all.extend(sent(b'D', &body));
    }
    all.extend([sent(b'C', b"OK\0"), sent(b'Z', b"I")].concat());
    all
}
