//! A database on the loopback for tests: what each statement gives stands in a list.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use super::message::sent;

/// What a statement gives.
#[derive(Debug, Clone)]
pub(crate) enum StubRows {
    /// Columns with their types, and rows.
    Found(Vec<(&'static str, u32)>, Vec<Vec<Option<&'static str>>>),
    /// An error's code and words.
    Refused(&'static str, &'static str),
}

/// Answers the statements that hold these words, others with nothing. Its port, and the statements that it hears with
/// their parameters.
pub(crate) fn stub(answers: Vec<(&'static str, StubRows)>) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, hearing) = mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            // The client leaves when it likes.
            let _ = serve(stream, &answers, &heard);
        }
    });
    (port, hearing)
}

fn serve(mut stream: TcpStream, answers: &[(&str, StubRows)], heard: &mpsc::Sender<String>) -> std::io::Result<()> {
    body(&mut stream)?;
    stream.write_all(&[sent(b'R', &[0; 4]), sent(b'Z', b"I")].concat())?;
    let mut statement = String::new();
    loop {
        let mut kind = [0];
        stream.read_exact(&mut kind)?;
        let body = body(&mut stream)?;
        match kind[0] {
            b'P' => statement = String::from_utf8_lossy(&body[1..body.len() - 3]).into_owned(),
            b'B' => {
                let parameters = body[6..body.len() - 2].iter().map(|byte| char::from(*byte));
                let parameters: String = parameters.filter(char::is_ascii_graphic).collect();
                let said = format!("{statement} {parameters}");
                let _ = heard.send(said.trim_end().to_owned());
            }
            b'S' => stream.write_all(&answered(&statement, answers))?,
            b'X' => return Ok(()),
            _ => {}
        }
    }
}

fn body(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn count(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap().to_be_bytes()
}

fn answered(statement: &str, answers: &[(&str, StubRows)]) -> Vec<u8> {
    let mut out = Vec::new();
    match answers.iter().find(|(words, _)| statement.contains(words)).map(|(_, rows)| rows) {
        Some(StubRows::Found(columns, rows)) => {
            let mut described = count(columns.len()).to_vec();
            for (name, kind) in columns {
                described.extend_from_slice(&[name.as_bytes(), &[0; 7], &kind.to_be_bytes(), &[0; 8]].concat());
            }
            out.extend(sent(b'T', &described));
            for row in rows {
                let mut values = count(row.len()).to_vec();
                for value in row {
                    let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
                    values.extend_from_slice(&[&length.to_be_bytes(), value.unwrap_or_default().as_bytes()].concat());
                }
                out.extend(sent(b'D', &values));
            }
            out.extend(sent(b'C', format!("SELECT {}\0", rows.len()).as_bytes()));
        }
        Some(StubRows::Refused(code, words)) => {
            out.extend(sent(b'E', format!("SERROR\0C{code}\0M{words}\0\0").as_bytes()));
        }
        None => out.extend(sent(b'C', b"DONE\0")),
    }
    out.extend(sent(b'Z', b"I"));
    out
}
