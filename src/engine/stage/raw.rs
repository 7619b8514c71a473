//! Servers that speak protocols of their own: Redis, Postgres and `MongoDB`, told apart by their first bytes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

pub(super) fn serve(stream: TcpStream, first: [u8; 16]) {
    // Whoever leaves is no matter.
    let _ = match first {
        [b'*', ..] => redis(stream),
        // The first message of Postgres is its version.
        [0, 0, _, _, 0, 3, 0, 0, ..] => postgres(stream),
        _ => mongo(stream),
    };
}

/// Every list is empty.
fn redis(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let count: usize = line.trim_start_matches('*').trim().parse().unwrap_or(0);
        let mut words = Vec::new();
        for _ in 0..count {
            line.clear();
            reader.read_line(&mut line)?;
            let mut word = vec![0; line.trim_start_matches('$').trim().parse::<usize>().unwrap_or(0) + 2];
            reader.read_exact(&mut word)?;
            words.push(String::from_utf8_lossy(&word).trim_end().to_ascii_uppercase());
        }
        let answer: &[u8] = match words.first().map(String::as_str) {
            Some("LRANGE") => b"*0\r\n",
            Some("AUTH" | "SELECT" | "HELLO") => b"+OK\r\n",
            _ => b":1\r\n",
        };
        stream.write_all(answer)?;
        line.clear();
    }
    Ok(())
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], &length[..], body].concat()
}

/// Every statement finds one passage.
fn postgres(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = [0; 4];
    reader.read_exact(&mut length)?;
    reader.read_exact(&mut vec![0; u32::from_be_bytes(length) as usize - 4])?;
    stream.write_all(&[message(b'R', &[0; 4]), message(b'Z', b"I")].concat())?;
    // A passage, and a column of a table.
    let row = [
        ("pageContent", "A passage of the stage."),
        ("metadata", "{}"),
        ("_distance", "0.1"),
        ("table_schema", "public"),
        ("table_name", "kettles"),
        ("column_name", "age"),
        ("data_type", "integer"),
        ("is_nullable", "NO"),
    ];
    let columns: Vec<u8> = row.iter().flat_map(|(name, _)| [name.as_bytes(), &[0; 19]].concat()).collect();
    let cell =
        |(_, value): &(_, &str)| [&u32::try_from(value.len()).unwrap().to_be_bytes()[..], value.as_bytes()].concat();
    let cells: Vec<u8> = row.iter().flat_map(cell).collect();
    let count = u16::try_from(row.len()).unwrap().to_be_bytes();
    loop {
        let mut head = [0; 5];
        reader.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        reader.read_exact(&mut vec![0; u32::from_be_bytes(length) as usize - 4])?;
        if kind == b'S' {
            let answer = [
                message(b'1', &[]),
                message(b'2', &[]),
                message(b'T', &[&count, columns.as_slice()].concat()),
                message(b'D', &[&count, cells.as_slice()].concat()),
                message(b'C', b"SELECT 1\0"),
                message(b'Z', b"I"),
            ];
            stream.write_all(&answer.concat())?;
        }
    }
}

/// Every command finds one document.
fn mongo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut length = [0; 4];
        reader.read_exact(&mut length)?;
        let mut rest = vec![0; (u32::from_le_bytes(length) as usize).saturating_sub(4)];
        reader.read_exact(&mut rest)?;
        let found = json!({ "text": "A passage of the stage.", "score": 0.5 });
        let answer = json!({ "ok": 1, "isWritablePrimary": true, "n": 1,
            "cursor": { "id": 0, "firstBatch": if is_about(&rest, "aggregate") { json!([found]) } else { json!([]) } } });
        let document = bson(&answer);
        let mut message = Vec::new();
        for number in [u32::try_from(document.len()).unwrap() + 21, 1, 1, 2013, 0] {
            message.extend_from_slice(&number.to_le_bytes());
        }
        message.push(0);
        message.extend_from_slice(&document);
        stream.write_all(&message)?;
    }
}

fn is_about(message: &[u8], word: &str) -> bool {
    message.windows(word.len()).any(|window| window == word.as_bytes())
}

fn bson(value: &Value) -> Vec<u8> {
    let fields: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let mut body = Vec::new();
    for (name, value) in fields {
        let (kind, bytes) = match value {
            Value::Object(_) => (3, bson(value)),
            Value::Array(_) => (4, bson(value)),
            Value::String(text) => {
                let length = u32::try_from(text.len() + 1).unwrap().to_le_bytes();
                (2, [&length[..], text.as_bytes(), b"\0"].concat())
            }
            Value::Bool(flag) => (8, vec![u8::from(*flag)]),
            Value::Number(number) if number.is_i64() => (18, number.as_i64().unwrap().to_le_bytes().to_vec()),
            Value::Number(number) => (1, number.as_f64().unwrap().to_le_bytes().to_vec()),
            Value::Null => (10, Vec::new()),
        };
        body.push(kind);
        body.extend_from_slice(name.as_bytes());
        body.push(0);
        body.extend_from_slice(&bytes);
    }
    let length = u32::try_from(body.len() + 5).unwrap().to_le_bytes();
    [&length[..], &body, b"\0"].concat()
}
