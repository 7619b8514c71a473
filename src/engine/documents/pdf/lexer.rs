//! Reads what PDF files are written in, object by object.

use std::rc::Rc;

use super::budget::{PdfBudget, PdfLimitExceeded};
use super::object::{PdfFields, PdfId, PdfObject};

/// Lists and dictionaries within each other: each is read on the stack of the one around it.
const DEEPEST: usize = 60;
/// Of one list or dictionary.
const MOST_ITEMS: usize = 1 << 20;

/// Reads objects one after the other.
pub(super) struct PdfLexer<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) at: usize,
    /// In content streams nothing refers to objects.
    pub(super) has_refs: bool,
    budget: &'b PdfBudget,
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | 9 | 10 | 12 | 13 | 32)
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

impl<'b> PdfLexer<'b> {
    pub(super) fn new(bytes: &'b [u8], at: usize, has_refs: bool, budget: &'b PdfBudget) -> Self {
        Self { bytes, at, has_refs, budget }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next_byte(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'%' {
                while self.peek().is_some_and(|byte| !matches!(byte, b'\r' | b'\n')) {
                    self.at += 1;
                }
            } else if is_space(byte) {
                self.at += 1;
            } else {
                break;
            }
        }
    }

    /// The next object; `None` at the end.
    pub(super) fn object(&mut self) -> Result<Option<PdfObject>, PdfLimitExceeded> {
        self.nested(0)
    }

    fn nested(&mut self, depth: usize) -> Result<Option<PdfObject>, PdfLimitExceeded> {
        self.skip_space();
        self.budget.object()?;
        let Some(byte) = self.peek() else { return Ok(None) };
        let object = match byte {
            b'0'..=b'9' | b'+' | b'-' | b'.' => self.number_or_ref(),
            b'/' => self.name(),
            b'(' => self.literal(),
            b'<' if self.bytes.get(self.at + 1) == Some(&b'<') => {
                self.at += 2;
                return self.fields(depth).map(Some);
            }
            b'<' => self.hexadecimal(),
            b'[' => {
                self.at += 1;
                return self.list(depth).map(Some);
            }
            b'>' if self.bytes.get(self.at + 1) == Some(&b'>') => {
                self.at += 2;
                PdfObject::Word(">>".into())
            }
            b']' | b'{' | b'}' | b'>' | b')' => {
                self.at += 1;
                PdfObject::Word(char::from(byte).to_string().into())
            }
            _ => self.word(),
        };
        Ok(Some(object))
    }

    fn list(&mut self, depth: usize) -> Result<PdfObject, PdfLimitExceeded> {
        let mut items = Vec::new();
        while let Some(item) = self.nested_within(depth)? {
            if item.is_word("]") {
                break;
            }
            if items.len() < MOST_ITEMS {
                items.push(item);
            }
        }
        Ok(PdfObject::List(Rc::new(items)))
    }

    fn fields(&mut self, depth: usize) -> Result<PdfObject, PdfLimitExceeded> {
        let mut fields = PdfFields::new();
        while let Some(name) = self.nested_within(depth)? {
            match name {
                PdfObject::Name(name) => {
                    let Some(value) = self.nested_within(depth)? else { break };
                    if value.is_word(">>") {
                        break;
                    }
                    if fields.len() < MOST_ITEMS {
                        fields.insert(name, value);
                    }
                }
                word if word.is_word(">>") => break,
                // What is no name of a field is passed over.
                PdfObject::Word(word) if matches!(&*word, "endobj" | "stream") => break,
                _ => {}
            }
        }
        Ok(PdfObject::Fields(Rc::new(fields)))
    }

    fn nested_within(&mut self, depth: usize) -> Result<Option<PdfObject>, PdfLimitExceeded> {
        if depth >= DEEPEST {
            return Err(PdfLimitExceeded);
        }
        self.nested(depth + 1)
    }

    /// As forgiving as readers are: a sign may be doubled, and stand within.
    fn plain_number(&mut self) -> f64 {
        let (mut sign, mut value, mut divisor, mut power) = (1.0, 0.0_f64, 0.0_f64, 0_i32);
        if self.peek() == Some(b'-') {
            sign = -1.0;
            self.at += 1;
            if self.peek() == Some(b'-') {
                self.at += 1;
            }
        } else if self.peek() == Some(b'+') {
            self.at += 1;
        }
        while let Some(byte) = self.peek() {
            match byte {
                b'0'..=b'9' => {
                    value = value * 10.0 + f64::from(byte - b'0');
                    divisor *= 10.0;
                }
                b'.' if divisor == 0.0 => divisor = 1.0,
                b'-' => {}
                b'E' | b'e' if matches!(self.bytes.get(self.at + 1), Some(b'0'..=b'9' | b'+' | b'-')) => {
                    self.at += 1;
                    power = self.exponent();
                    break;
                }
                _ => break,
            }
            self.at += 1;
        }
        if divisor > 1.0 {
            value /= divisor;
        }
        let number = sign * value * 10_f64.powi(power);
        if number.is_finite() { number } else { 0.0 }
    }

    fn exponent(&mut self) -> i32 {
        let sign = match self.peek() {
            Some(b'-') => -1,
            _ => 1,
        };
        if matches!(self.peek(), Some(b'-' | b'+')) {
            self.at += 1;
        }
        let mut power = 0_i32;
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            power = (power * 10 + i32::from(byte - b'0')).min(1000);
            self.at += 1;
        }
        sign * power
    }

    fn number_or_ref(&mut self) -> PdfObject {
        let begin = self.at;
        let number = self.plain_number();
        if self.at == begin {
            self.at += 1;
        }
        let first = self.bytes.get(begin).copied().unwrap_or_default();
        if self.has_refs && first.is_ascii_digit() {
            let after = self.at;
            if let Some(id) = self.rest_of_ref(number) {
                return PdfObject::Ref(id);
            }
            self.at = after;
        }
        PdfObject::Number(number)
    }

    /// ` 0 R` behind a number.
    fn rest_of_ref(&mut self, number: f64) -> Option<PdfId> {
        let number = u32::try_from(PdfObject::Number(number).index()?).ok()?;
        let generation = self.unsigned()?;
        self.skip_space();
        let is_ref = self.peek() == Some(b'R')
            && self.bytes.get(self.at + 1).is_none_or(|byte| is_space(*byte) || is_special(*byte));
        self.at += 1;
        is_ref.then_some(PdfId { number, generation })
    }

    /// A number of digits alone, behind white space.
    pub(super) fn unsigned(&mut self) -> Option<u32> {
        self.skip_space();
        let begin = self.at;
        let mut value = 0_u32;
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            value = value.checked_mul(10)?.checked_add(u32::from(byte - b'0'))?;
            self.at += 1;
        }
        (self.at > begin).then_some(value)
    }

    fn name(&mut self) -> PdfObject {
        self.at += 1;
        let mut name = String::new();
        while let Some(byte) = self.peek().filter(|byte| !is_space(*byte) && !is_special(*byte)) {
            self.at += 1;
            let pair = self.bytes.get(self.at..self.at + 2).filter(|_| byte == b'#');
            let escaped = pair.and_then(|pair| Some(nibble(*pair.first()?)? << 4 | nibble(*pair.get(1)?)?));
            if let Some(escaped) = escaped {
                self.at += 2;
                name.push(char::from(escaped));
            } else {
                name.push(char::from(byte));
            }
        }
        PdfObject::Name(name.into())
    }

    fn literal(&mut self) -> PdfObject {
        self.at += 1;
        let mut text = Vec::new();
        let mut depth = 1_usize;
        while let Some(byte) = self.next_byte() {
            match byte {
                b'(' => {
                    depth += 1;
                    text.push(byte);
                }
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                    text.push(byte);
                }
                b'\\' => self.escaped(&mut text),
                _ => text.push(byte),
            }
        }
        PdfObject::Text(text.into())
    }

    fn escaped(&mut self, text: &mut Vec<u8>) {
        match self.next_byte() {
            Some(b'n') => text.push(b'\n'),
            Some(b'r') => text.push(b'\r'),
            Some(b't') => text.push(b'\t'),
            Some(b'b') => text.push(8),
            Some(b'f') => text.push(12),
            Some(b'\r') => {
                if self.peek() == Some(b'\n') {
                    self.at += 1;
                }
            }
            Some(b'\n') | None => {}
            Some(byte @ b'0'..=b'7') => {
                let mut value = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(byte @ b'0'..=b'7') = self.peek() else { break };
                    value = value * 8 + u32::from(byte - b'0');
                    self.at += 1;
                }
                text.push(u8::try_from(value & 0xff).unwrap_or_default());
            }
            Some(byte) => text.push(byte),
        }
    }

    /// A last digit without another is passed over.
    fn hexadecimal(&mut self) -> PdfObject {
        self.at += 1;
        let (mut text, mut held) = (Vec::new(), None);
        while let Some(byte) = self.next_byte() {
            if byte == b'>' {
                break;
            }
            let Some(digit) = nibble(byte) else { continue };
            match held.take() {
                Some(high) => text.push(high << 4 | digit),
                None => held = Some(digit),
            }
        }
        PdfObject::Text(text.into())
    }

    fn word(&mut self) -> PdfObject {
        let begin = self.at;
        // Longer than any word there is.
        while self.at < begin + 128 && self.peek().is_some_and(|byte| !is_space(byte) && !is_special(byte)) {
            self.at += 1;
        }
        let word: String = self.bytes.get(begin..self.at).unwrap_or_default().iter().map(|b| char::from(*b)).collect();
        match word.as_str() {
            "true" => PdfObject::Bool(true),
            "false" => PdfObject::Bool(false),
            "null" => PdfObject::Null,
            _ => PdfObject::Word(word.into()),
        }
    }
}

pub(super) fn nibble(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
