//! JSON as models write it: with prose in place of quotation marks, commas too many or too few, an end that is missing.
//!
//! What authors write is read by [`lenient`](crate::engine::text::mustache), which knows references and takes no more than
//! Flowise takes of them: an end that is missing is a mistake there, and here the end of what a model had room for.

use serde_json::{Map, Value};

use crate::wire::json;

/// Values within values.
const DEEPEST: usize = 64;

/// The JSON in an answer: all of it, or what stands in its first code block. Flowise looks for a block first, and
/// finds one in the texts of an answer that is JSON already.
///
/// # Errors
/// It cannot be understood even so.
pub(in crate::engine::nodes) fn read(text: &str) -> Result<Value, String> {
    if let Ok(whole) = json::read_str(text.trim()) {
        return Ok(whole);
    }
    let Some((_, block)) = text.split_once("```") else { return repaired(&json::sound(text.trim().as_bytes())) };
    let block = block.strip_prefix("json").unwrap_or(block).split("```").next().unwrap_or_default();
    json::read_str(block).or_else(|_| repaired(&json::sound(block.as_bytes())))
}

fn repaired(text: &str) -> Result<Value, String> {
    let mut reader = RepairingParser { text, at: 0, depth: 0 };
    let first = reader.value()?.ok_or_else(|| reader.unexpected())?;
    let mut values = vec![first];
    loop {
        reader.skip_blank();
        match reader.peek() {
            None => break,
            Some(',' | '}' | ']' | ';') => reader.step(),
            // One value a line.
            Some('{' | '[') => values.extend(reader.value()?),
            Some(_) => return Err(reader.unexpected()),
        }
    }
    Ok(if values.len() == 1 { values.pop().unwrap_or_default() } else { values.into() })
}

struct RepairingParser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> RepairingParser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn step(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn unexpected(&self) -> String {
        let position = self.text.get(..self.at).unwrap_or_default().encode_utf16().count();
        match self.peek() {
            Some(letter) => format!("Unexpected character \"{letter}\" at position {position}"),
            None => format!("Unexpected end of json string at position {position}"),
        }
    }

    /// Blanks, comments, and dots that stand for more of the same.
    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let left = rest.trim_start();
            self.at += rest.len() - left.len();
            let end = if left.starts_with("//") {
                left.find('\n').unwrap_or(left.len())
            } else if left.starts_with("/*") {
                left.find("*/").map_or(left.len(), |end| end + 2)
            } else if left.starts_with("...") {
                3
            } else {
                return;
            };
            self.at += end;
        }
    }

    /// `None`: there is none here.
    fn value(&mut self) -> Result<Option<Value>, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("The answer's JSON is more than {DEEPEST} deep."));
        }
        self.skip_blank();
        let value = match self.peek() {
            Some('{') => Some(self.object()?),
            Some('[') => Some(self.array()?),
            Some(letter) if closing(letter).is_some() => Some(self.quoted(letter).into()),
            Some(',' | ':' | '}' | ']') | None => None,
            Some(_) => Some(self.bare()),
        };
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, String> {
        self.step();
        let mut fields = Map::new();
        loop {
            self.skip_blank();
            match self.peek() {
                Some('}') => {
                    self.step();
                    break;
                }
                None | Some(']') => break,
                Some(',') => self.step(),
                Some(letter) => {
                    let name = if closing(letter).is_some() { self.quoted(letter) } else { self.bare_name() };
                    self.skip_blank();
                    match self.peek() {
                        Some(':') => self.step(),
                        // It is missing, or the answer was cut off.
                        None => {}
                        Some(letter) if starts_value(letter) => {}
                        Some(_) => {
                            let position = self.text.get(..self.at).unwrap_or_default().encode_utf16().count();
                            return Err(format!("Colon expected at position {position}"));
                        }
                    }
                    let value = self.value()?.unwrap_or_default();
                    fields.insert(name, value);
                }
            }
        }
        Ok(fields.into())
    }

    fn array(&mut self) -> Result<Value, String> {
        self.step();
        let mut items = Vec::new();
        loop {
            self.skip_blank();
            match self.peek() {
                Some(']') => {
                    self.step();
                    break;
                }
                None | Some('}') => break,
                Some(',') => self.step(),
                Some(':') => return Err(self.unexpected()),
                Some(_) => items.extend(self.value()?),
            }
        }
        Ok(items.into())
    }

    /// A text in quotation marks. A mark ends it only if what follows can follow a text.
    fn quoted(&mut self, mark: char) -> String {
        self.step();
        let end = closing(mark).unwrap_or_default();
        let mut text = String::new();
        while let Some(letter) = self.peek() {
            self.step();
            match letter {
                '\\' => self.escaped(&mut text),
                letter if end.contains(letter) && self.may_end() => break,
                letter => text.push(letter),
            }
        }
        text
    }

    fn may_end(&self) -> bool {
        let rest = self.rest();
        let left = rest.trim_start();
        let is_next_line = rest.get(..rest.len() - left.len()).is_some_and(|blank| blank.contains('\n'));
        match left.chars().next() {
            None | Some(',' | ':' | '}' | ']' | '/') => true,
            Some(letter) => is_next_line || (closing(letter).is_some() && rest.len() > left.len()),
        }
    }

    fn escaped(&mut self, text: &mut String) {
        let Some(letter) = self.peek() else { return };
        self.step();
        text.push(match letter {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                let unit = |digits: Option<&str>| digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
                let Some(first) = unit(self.rest().get(..4)) else { return };
                self.at += 4;
                let second = self.rest().strip_prefix("\\u").and_then(|rest| unit(rest.get(..4)));
                let second = second.filter(|second| (0xdc00..=0xdfff).contains(second));
                let letter = char::decode_utf16([Some(first), second].into_iter().flatten()).next();
                let letter = letter.and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER);
                self.at += if letter > '\u{ffff}' { 6 } else { 0 };
                letter
            }
            letter => letter,
        });
    }

    /// A name without quotation marks.
    fn bare_name(&mut self) -> String {
        self.until(|letter| matches!(letter, ':' | ',' | '{' | '}' | '[' | ']') || letter.is_whitespace()).to_owned()
    }

    /// A number, a word that stands for a value, or a text without quotation marks.
    fn bare(&mut self) -> Value {
        let rest = self.rest();
        let is_end = |letter: char| matches!(letter, ',' | '{' | '}' | '[' | ']' | '"' | '/') || letter.is_whitespace();
        let (word, after) = rest.split_at_checked(rest.find(is_end).unwrap_or(rest.len())).unwrap_or((rest, ""));
        if let (true, Some(value)) = (after.trim_start().chars().next().is_none_or(is_end), value_of(word)) {
            self.at += word.len();
            return value;
        }
        self.until(|letter| matches!(letter, ',' | '{' | '}' | '[' | ']' | '\n' | '"')).trim().into()
    }

    fn until(&mut self, is_end: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let (word, _) = rest.split_at_checked(rest.find(is_end).unwrap_or(rest.len())).unwrap_or((rest, ""));
        self.at += word.len();
        word
    }
}

/// Of a number, or of a word that stands for a value.
fn value_of(word: &str) -> Option<Value> {
    Some(match word {
        "true" | "True" => true.into(),
        "false" | "False" => false.into(),
        "null" | "None" | "undefined" => Value::Null,
        word => {
            let digits = if word.starts_with('.') { format!("0{word}") } else { word.to_owned() };
            serde_json::from_str(&digits).ok().filter(Value::is_number)?
        }
    })
}

fn starts_value(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '{' | '[' | '-' | '_') || closing(letter).is_some()
}

/// What may end a text that begins with this mark.
fn closing(mark: char) -> Option<&'static str> {
    match mark {
        '"' => Some("\""),
        '\'' => Some("'"),
        '`' => Some("`"),
        '“' | '”' => Some("”“\""),
        '‘' | '’' => Some("’‘'"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Expected: what jsonrepair makes of the same text.
    #[test]
    fn what_models_write_is_read() {
        for (text, value) in [
            ("Sure:\n```json\n{\"a\":1,}\n``` there", json!({ "a": 1 })),
            // JSON that holds a block is no block.
            ("{\"code\":\"```js\\nf()\\n```\"}", json!({ "code": "```js\nf()\n```" })),
            ("{a:1}", json!({ "a": 1 })),
            ("{'a':'b'}", json!({ "a": "b" })),
            ("{\"a\":1 \"b\":2}", json!({ "a": 1, "b": 2 })),
            ("{\"a\":\"x", json!({ "a": "x" })),
            ("[1,2", json!([1, 2])),
            ("{\"a\":True,\"b\":None}", json!({ "a": true, "b": null })),
            ("{\"a\":1}\n{\"b\":2}", json!([{ "a": 1 }, { "b": 2 }])),
            ("// c\n{\"a\":1 /* x */}", json!({ "a": 1 })),
            ("{\"a\": hello world}", json!({ "a": "hello world" })),
            ("{\"a\":\"he said \"hi\" ok\"}", json!({ "a": "he said \"hi\" ok" })),
            ("{\"a\":'x\\'y'}", json!({ "a": "x'y" })),
            ("{\"a\":1}}", json!({ "a": 1 })),
            (r"{'a':'\ud83d\ude00\u00e9 \ud83d x'}", json!({ "a": "😀é \u{fffd} x" })),
            ("“a”", json!("a")),
            ("{\"a\":.5}", json!({ "a": 0.5 })),
            ("{\"a\":\"line\nbreak\"}", json!({ "a": "line\nbreak" })),
            ("{\"a\":1e5,\"b\":012}", json!({ "a": 1e5, "b": "012" })),
            ("{\"a\":}", json!({ "a": null })),
            ("{\"a\":\"b\"\n\"c\":\"d\"}", json!({ "a": "b", "c": "d" })),
            ("{\"a\":[\"b\" \"c\"]}", json!({ "a": ["b", "c"] })),
            ("{\"a\":1,\n...\n}", json!({ "a": 1 })),
            ("hello", json!("hello")),
            ("{\"a\" \"x\"}", json!({ "a": "x" })),
            ("{\"a\":1 , \"b\"", json!({ "a": 1, "b": null })),
            ("{\"a\":\"some long, with commas", json!({ "a": "some long, with commas" })),
            (
                "{\"title\":\"The \"Best\" Movie\",\"year\":1999}",
                json!({ "title": "The \"Best\" Movie", "year": 1999 }),
            ),
            ("{\"a\": https://x.y/z, \"b\":1}", json!({ "a": "https://x.y/z", "b": 1 })),
        ] {
            assert_eq!(read(text).as_ref(), Ok(&value), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_said_to_be_none() {
        assert_eq!(read("").unwrap_err(), "Unexpected end of json string at position 0");
        assert_eq!(read("{\"a\"}").unwrap_err(), "Colon expected at position 4");
        assert_eq!(read("{\"a\":1} trailing text").unwrap_err(), "Unexpected character \"t\" at position 8");
        assert!(read("[".repeat(100_000).as_str()).is_err());
        // Long ones are read once.
        let long = format!("[{}", "{a: b, 'c': \"d\" , },".repeat(100_000));
        assert_eq!(read(&long).unwrap().as_array().map(Vec::len), Some(100_000));
        for piece in ["\" ", "'a' /", "1 ", ", ", "... ", "/* ", "a\"b"] {
            let _ = read(&format!("[{}", piece.repeat(300_000)));
        }
    }
}
