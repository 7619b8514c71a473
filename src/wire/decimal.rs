//! Whole numbers as text, for log lines and header fields.

/// A number in at least that many digits; the formatting machinery takes several times as long.
pub(crate) fn decimal(text: &mut Vec<u8>, mut number: u64, digits: usize) {
    let mut written = [b'0'; 20];
    let mut length = 0;
    for digit in written.iter_mut().rev() {
        if number == 0 && length >= digits {
            break;
        }
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        length += 1;
    }
    text.extend_from_slice(written.get(written.len() - length..).unwrap_or_default());
}

/// How many digits a number has.
pub(crate) fn width(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::{decimal, width};

    #[test]
    fn numbers_are_written_as_everywhere() {
        let written = |number, digits| {
            let mut text = Vec::new();
            decimal(&mut text, number, digits);
            String::from_utf8(text).unwrap()
        };
        assert_eq!([written(0, 1), written(7, 3), written(1234, 3)], ["0", "007", "1234"]);
        assert_eq!(written(u64::MAX, 1), u64::MAX.to_string());
        for number in [0, 9, 10, 99, 100, u64::MAX] {
            assert_eq!(width(number), number.to_string().len(), "{number}");
        }
    }
}
