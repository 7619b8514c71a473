//! Whole numbers as text, for log lines and header fields.

/// A number in at least that many digits; the formatting machinery takes several times as long.
pub(crate) fn decimal(text: &mut Vec<u8>, mut number: u64, digits: usize) {
    let mut reversed = [b'0'; 20];
    let mut length = 0;
    for digit in &mut reversed {
        if number == 0 && length >= digits {
            break;
        }
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        length += 1;
    }
    text.extend(reversed.iter().take(length).rev());
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn numbers_are_written_as_everywhere() {
        let written = |number, digits| {
            let mut text = Vec::new();
            decimal(&mut text, number, digits);
            String::from_utf8(text).unwrap()
        };
        assert_eq!([written(0, 1), written(7, 3), written(1234, 3)], ["0", "007", "1234"]);
        assert_eq!(written(u64::MAX, 1), u64::MAX.to_string());
    }
}
