//! Messages of the protocol, version 3.

/// One of the server's.
#[derive(Debug)]
pub(super) struct PostgresMessage {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

/// One of ours.
pub(super) fn sent(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// A statement with its parameters as texts, run to its end or for so many rows; 0: all.
pub(super) fn query(statement: &str, parameters: &[Option<&str>], most: u32) -> Option<Vec<u8>> {
    let mut parse = b"\0".to_vec();
    parse.extend_from_slice(statement.replace('\0', "").as_bytes());
    parse.extend_from_slice(&[0, 0, 0]);
    let mut bind = vec![0, 0, 0, 0];
    bind.extend_from_slice(&u16::try_from(parameters.len()).ok()?.to_be_bytes());
    for parameter in parameters {
        let length = parameter.map_or(Some(-1), |text| i32::try_from(text.len()).ok())?;
        bind.extend_from_slice(&length.to_be_bytes());
        bind.extend_from_slice(parameter.unwrap_or_default().as_bytes());
    }
    bind.extend_from_slice(&[0, 0]);
    let execute = [&[0][..], &most.to_be_bytes()].concat();
    let all = [sent(b'P', &parse), sent(b'B', &bind), sent(b'D', b"P\0"), sent(b'E', &execute), sent(b'S', &[])];
    Some(all.concat())
}

/// A step of an authentication, and what comes with it.
pub(super) fn authentication(body: &[u8]) -> Option<(u32, &[u8])> {
    let (step, rest) = body.split_at_checked(4)?;
    Some((u32::from_be_bytes(step.try_into().ok()?), rest))
}

/// Of an error: what each is, and its words.
pub(super) fn fields(body: &[u8]) -> impl Iterator<Item = (u8, String)> {
    let parts = body.split(|byte| *byte == 0);
    parts
        .filter_map(|part| part.split_first().map(|(kind, words)| (*kind, String::from_utf8_lossy(words).into_owned())))
}

fn take<'b>(rest: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

fn short(rest: &mut &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(take(rest, 2)?.try_into().ok()?))
}

/// Names and types of columns.
pub(super) fn columns(body: &[u8]) -> Option<(Vec<String>, Vec<u32>)> {
    let mut rest = body;
    let count = short(&mut rest)?;
    let (mut names, mut kinds) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let end = memchr::memchr(0, rest)?;
        names.push(String::from_utf8_lossy(take(&mut rest, end)?).into_owned());
        // The end of the name, and the place in a table.
        take(&mut rest, 7)?;
        kinds.push(u32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?));
        take(&mut rest, 8)?;
    }
    Some((names, kinds))
}

/// Values of a row.
pub(super) fn rows_field(body: &[u8]) -> Option<Vec<Option<String>>> {
    let mut rest = body;
    let count = short(&mut rest)?;
    let mut values = Vec::new();
    for _ in 0..count {
        let length = i32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?);
        let value = match usize::try_from(length) {
            Ok(length) => Some(String::from_utf8_lossy(take(&mut rest, length)?).into_owned()),
            Err(_) => None,
        };
        values.push(value);
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_broken_ones_are_not() {
        let body = [&[0, 2, 0, 0, 0, 1][..], b"x", &[255; 4]].concat();
        assert_eq!(rows_field(&body), Some(vec![Some("x".to_owned()), None]));
        let named = [&[0, 1][..], b"id\0", &[0; 18]].concat();
        assert_eq!(columns(&named), Some((vec!["id".to_owned()], vec![0])));
        for cut in 0..body.len() {
            assert_eq!(rows_field(&body[..cut]), None);
        }
        let told: Vec<_> = fields(b"SERROR\0Mno such table\0\0").collect();
        assert_eq!(told[1], (b'M', "no such table".to_owned()));
    }
}
