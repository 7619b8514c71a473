//! Percent-encoding (RFC 3986, section 2.1), taken off.

/// Why a text is none that was encoded so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PercentError {
    /// A `%` without two hexadecimal digits behind it.
    Digits,
    /// What it stands for is no UTF-8.
    Utf8,
}

/// What a text stands for; once, so that what is encoded twice is encoded still.
pub(crate) fn decoded(text: &str) -> Result<String, PercentError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(PercentError::Digits) };
        bytes.push(high << 4 | low);
    }
    String::from_utf8(bytes).map_err(|_| PercentError::Utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_taken_off_once() {
        for (text, expected) in [
            ("", Ok("")),
            ("plain+text", Ok("plain+text")),
            ("a%3Ab%2f%C3%a9", Ok("a:b/é")),
            ("%252e", Ok("%2e")),
            ("%", Err(PercentError::Digits)),
            ("%2", Err(PercentError::Digits)),
            ("%+1", Err(PercentError::Digits)),
            ("%zz", Err(PercentError::Digits)),
            ("%ff", Err(PercentError::Utf8)),
        ] {
            assert_eq!(decoded(text), expected.map(str::to_owned), "{text}");
        }
    }
}
