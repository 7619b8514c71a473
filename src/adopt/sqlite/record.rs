//! Rows: a header that says what each column is, and the columns.

use super::SqliteError;
use super::page::{TextEncoding, varint};

/// A column of a row.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::adopt) enum SqlValue {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl SqlValue {
    /// As a text, if there is one that is not empty.
    pub(in crate::adopt) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text).filter(|text| !text.is_empty()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Real(number) => Some(number.to_string()),
            Self::Blob(bytes) => String::from_utf8(bytes).ok().filter(|text| !text.is_empty()),
            Self::Null => None,
        }
    }
}

/// The columns at those places; what a row does not have, or nobody has, is null.
pub(super) fn columns(
    payload: &[u8],
    places: &[Option<usize>],
    encoding: TextEncoding,
) -> Result<Vec<SqlValue>, SqliteError> {
    let mut rest = payload;
    let length = usize::try_from(varint(&mut rest)?).unwrap_or(usize::MAX);
    let own = payload.len() - rest.len();
    let mut header = payload.get(own..length).ok_or(SqliteError::Damaged("a row's header is cut off"))?;
    let mut body = payload.get(length..).unwrap_or_default();
    let mut values = vec![SqlValue::Null; places.len()];
    let mut place = 0;
    while !header.is_empty() {
        let kind = varint(&mut header)?;
        let size = size(kind)?;
        let (bytes, next) = body.split_at_checked(size).ok_or(SqliteError::Damaged("a row is cut off"))?;
        body = next;
        for (wanted, value) in places.iter().zip(&mut values) {
            if *wanted == Some(place) {
                *value = self::value(kind, bytes, encoding)?;
            }
        }
        place += 1;
    }
    Ok(values)
}

fn size(kind: u64) -> Result<usize, SqliteError> {
    Ok(match kind {
        0 | 8 | 9 => 0,
        1..=4 => usize::try_from(kind).unwrap_or_default(),
        5 => 6,
        6 | 7 => 8,
        10 | 11 => return Err(SqliteError::Damaged("a column is of no kind")),
        kind => usize::try_from((kind - 12) / 2).unwrap_or(usize::MAX),
    })
}

fn value(kind: u64, bytes: &[u8], encoding: TextEncoding) -> Result<SqlValue, SqliteError> {
    let integer = || {
        let start = bytes.first().map_or(0, |byte| if byte & 0x80 == 0 { 0 } else { -1 });
        bytes.iter().fold(start, |number: i64, byte| number << 8 | i64::from(*byte))
    };
    Ok(match kind {
        0 => SqlValue::Null,
        8 => SqlValue::Integer(0),
        9 => SqlValue::Integer(1),
        1..=6 => SqlValue::Integer(integer()),
        7 => SqlValue::Real(f64::from_be_bytes(bytes.try_into().unwrap_or_default())),
        kind if kind % 2 == 0 => SqlValue::Blob(bytes.to_vec()),
        _ => SqlValue::Text(text(bytes, encoding)?),
    })
}

fn text(bytes: &[u8], encoding: TextEncoding) -> Result<String, SqliteError> {
    let wide = |unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
        rest.is_empty().then(|| String::from_utf16_lossy(&units)).ok_or(SqliteError::Damaged("a text is cut off"))
    };
    match encoding {
        TextEncoding::Utf8 => Ok(String::from_utf8_lossy(bytes).into_owned()),
        TextEncoding::Utf16Le => wide(u16::from_le_bytes),
        TextEncoding::Utf16Be => wide(u16::from_be_bytes),
    }
}
