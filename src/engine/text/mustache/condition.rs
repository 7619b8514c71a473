//! Conditions in the languages of databases, in which texts stand in quotation marks and all else is language.

use serde_json::Value;

use super::{JsonTemplate, Mustache, MustachePiece, Names};

impl Mustache {
    /// In a condition. In quotation marks a value is a text, as long as nothing of it could end them: how that would be
    /// written is another matter in each language. Elsewhere it is a number, or true or false.
    ///
    /// # Errors
    /// A value is neither.
    pub(crate) fn condition(&self, names: &dyn Names) -> Result<String, String> {
        let mut out = String::new();
        let mut quote = None;
        for piece in &self.0 {
            match piece {
                MustachePiece::Plain(text) => {
                    quote = open_behind(text, quote);
                    out.push_str(text);
                }
                MustachePiece::Name { name, written } => {
                    let Some(value) = names.find(name) else {
                        out.push_str(written);
                        continue;
                    };
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    if !quote.map_or_else(|| is_plain(&text), |quote| stays_in(&text, quote)) {
                        return Err(format!("the value of {written} cannot stand in the filter"));
                    }
                    out.push_str(&text);
                }
            }
        }
        Ok(out)
    }
}

impl JsonTemplate {
    /// In a condition in JSON: objects are conditions, and a value that is filled in is none. A variable alone may be more:
    /// whoever sets it was let to.
    ///
    /// # Errors
    /// A value has names.
    pub(crate) fn condition(&self, names: &dyn Names) -> Result<Value, String> {
        let mut open = None;
        self.references(&mut Vec::new(), &mut |path, place| {
            let is_open = !place.is_variable() && place.value(names).is_ok_and(|value| has_names(&value));
            open = open.take().or(is_open.then(|| path.join(".")));
        });
        match open {
            Some(place) => Err(format!("the value at \"{place}\" of the filter has names of its own")),
            None => self.value(names),
        }
    }

    /// Whether a place stands for a variable, and nothing is beside it.
    pub(crate) fn is_variable(&self) -> bool {
        self.mustache().and_then(Mustache::alone).is_some_and(|name| name.starts_with("$vars."))
    }
}

/// Whether a value is more than one in a condition.
pub(crate) fn has_names(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => items.iter().any(has_names),
        _ => false,
    }
}

/// The quotation mark that is open behind a text.
fn open_behind(text: &str, mut quote: Option<char>) -> Option<char> {
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match quote {
            Some(_) if letter == '\\' => _ = letters.next(),
            Some(open) if letter == open => quote = None,
            None if matches!(letter, '"' | '\'') => quote = Some(letter),
            _ => {}
        }
    }
    quote
}

fn stays_in(text: &str, quote: char) -> bool {
    !text.contains(|letter: char| letter == quote || letter == '\\' || letter.is_control())
}

fn is_plain(text: &str) -> bool {
    let is_begun = text.starts_with(|first: char| first.is_ascii_digit() || first == '-');
    matches!(text, "true" | "false") || (is_begun && text.parse().is_ok_and(f64::is_finite))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Dialect;
    use super::*;

    fn filled(text: &str, value: &Value) -> Result<String, String> {
        let names = |name: &str| (name == "x").then(|| value.clone());
        Mustache::parse(text, Dialect::Chatflow).condition(&names)
    }

    #[test]
    fn a_value_is_no_more_than_a_value() {
        for (text, value, expected) in [
            ("a == \"{{x}}\"", json!("it's (so) OR b"), "a == \"it's (so) OR b\""),
            ("a = '{{x}}' AND b", json!("say \"hi\""), "a = 'say \"hi\"' AND b"),
            ("a = 'it\\'s {{x}}'", json!("so"), "a = 'it\\'s so'"),
            ("a > {{x}}", json!(5), "a > 5"),
            ("a > {{x}}", json!("-1.5"), "a > -1.5"),
            ("a = {{x}}", json!(true), "a = true"),
            ("a = '{{y}}'", json!("none"), "a = '{{y}}'"),
        ] {
            assert_eq!(filled(text, &value).as_deref(), Ok(expected));
        }
        for (text, value) in [
            ("a == \"{{x}}\"", json!("b\" OR \"1\" == \"1")),
            ("a == \"{{x}}\" and b == \"c\"", json!("\\")),
            ("a = '{{x}}'", json!("it's")),
            ("a = '{{x}}'", json!("a\nb")),
            ("a = \"b\" OR {{x}}", json!("1 == 1")),
            ("a = {{x}}", json!("a")),
            ("a IN [{{x}}]", json!("1, 2")),
            ("a = {{x}}", json!(" 1")),
            ("a = {{x}}", json!({ "b": 1 })),
        ] {
            assert!(filled(text, &value).unwrap_err().contains("{{x}}"), "{text} {value}");
        }
    }
}
