//! Templates as `LangChain`'s Python-like format strings: `{name}`, `{{` and `}}` for braces; and Flowise's own
//! `{{$vars.name}}` and `{{$flow.name}}` in them, which stand for what is known of the request.

use serde_json::{Map, Value};

use super::mustache::Names;
use super::variables::text_of;

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<TemplatePiece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum TemplatePiece {
    Text(String),
    Name(String),
    /// `$vars.x` or `$flow.x`.
    Known(String),
}

impl Template {
    /// # Errors
    /// Flowise's sentence about a brace that stands alone.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::parse_plain(&literal_where_a_colon_stands(text))
    }

    /// As [`parse`](Self::parse), with a colon in braces as part of a name.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub(crate) fn parse_plain(text: &str) -> Result<Self, String> {
        let mut pieces = Pieces::default();
        let mut rest = text;
        while let Some((before, after)) = rest.find(['{', '}']).and_then(|at| rest.split_at_checked(at)) {
            pieces.plain.push_str(before);
            if let Some((name, left)) = known(after) {
                pieces.push(TemplatePiece::Known(name.to_owned()));
                rest = left;
            } else if let Some(left) = after.strip_prefix("{{") {
                pieces.plain.push('{');
                rest = left;
            } else if let Some(left) = after.strip_prefix("}}") {
                pieces.plain.push('}');
                rest = left;
            } else if let Some(inside) = after.strip_prefix('{') {
                let (name, left) = inside.split_once('}').ok_or("Invalid prompt schema: Unclosed '{' in template.")?;
                pieces.push(TemplatePiece::Name(name.to_owned()));
                rest = left;
            } else {
                return Err("Invalid prompt schema: Single '}' in template.".to_owned());
            }
        }
        pieces.plain.push_str(rest);
        Ok(Self(pieces.done()))
    }

    /// A text without places, whatever stands in it.
    pub(crate) fn plain(text: &str) -> Self {
        Self(vec![TemplatePiece::Text(text.to_owned())])
    }

    /// Where nothing stands for what is known of the request.
    pub(crate) fn without_known(self) -> Self {
        let literal = |piece| match piece {
            TemplatePiece::Known(name) => TemplatePiece::Text(format!("{{{name}}}")),
            piece => piece,
        };
        Self(self.0.into_iter().map(literal).collect())
    }

    /// In order, with repeats, as they are written: spaces belong to a name.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            TemplatePiece::Name(name) => Some(name.as_str()),
            TemplatePiece::Text(_) | TemplatePiece::Known(_) => None,
        })
    }

    /// Values go in as they are and are not looked at again.
    ///
    /// # Errors
    /// A name has no value.
    pub(crate) fn render(&self, values: &Map<String, Value>) -> Result<String, String> {
        self.rendered(values, |_| None, |_| true)
    }

    /// As [`render`](Self::render), with what is known of the request.
    ///
    /// # Errors
    /// A name has no value.
    pub(crate) fn render_for(&self, values: &Map<String, Value>, names: &dyn Names) -> Result<String, String> {
        // A few places for something long are soon more than a run may hold; who is told the text looks again.
        let known = |name: &str| names.find(name).as_ref().map(text_of);
        self.rendered(values, known, |bytes| names.has_room(bytes))
    }

    fn rendered(
        &self,
        values: &Map<String, Value>,
        known: impl Fn(&str) -> Option<String>,
        has_room: impl Fn(usize) -> bool,
    ) -> Result<String, String> {
        let mut text = String::new();
        for piece in &self.0 {
            if !has_room(text.len()) {
                break;
            }
            match piece {
                TemplatePiece::Text(plain) => text.push_str(plain),
                TemplatePiece::Known(name) => text.push_str(&known(name).unwrap_or_else(|| format!("{{{name}}}"))),
                TemplatePiece::Name(name) => match values.get(name) {
                    Some(Value::String(value)) => text.push_str(value),
                    Some(value) => text.push_str(&value.to_string()),
                    None => return Err(format!("(f-string) Missing value for input {name}")),
                },
            }
        }
        Ok(text)
    }
}

/// What a template is made of so far.
#[derive(Default)]
struct Pieces {
    pieces: Vec<TemplatePiece>,
    plain: String,
}

impl Pieces {
    fn push(&mut self, piece: TemplatePiece) {
        self.flush();
        self.pieces.push(piece);
    }

    fn flush(&mut self) {
        if !self.plain.is_empty() {
            self.pieces.push(TemplatePiece::Text(std::mem::take(&mut self.plain)));
        }
    }

    fn done(mut self) -> Vec<TemplatePiece> {
        self.flush();
        self.pieces
    }
}

/// The name in `{{$vars.x}}` or `{{$flow.x}}` that the text begins with, and what comes after it.
fn known(text: &str) -> Option<(&str, &str)> {
    let inside =
        text.strip_prefix("{{").filter(|inside| inside.starts_with("$vars.") || inside.starts_with("$flow."))?;
    let (name, rest) = inside.split_at_checked(inside.find(['{', '}'])?)?;
    Some((name, rest.strip_prefix("}}")?))
}

/// Braces within braces are names within names, which are soon more text than there is: nobody gives a value to more
/// names than this, nor to a longer one.
const MOST_NAMES: usize = 1000;
const LONGEST_NAME: usize = 1000;

/// Names as Flowise counts those of a prompt template that want a value: whatever stands between two braces that
/// belong together, each time it does, the inner ones first, and nothing with a colon in it.
pub(crate) fn counted(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut open = Vec::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                letters.next_if(|(_, next)| matches!(next, '{' | '}'));
            }
            '{' => open.push(at + 1),
            '}' => {
                let name = open.pop().and_then(|start| text.get(start..at));
                let name = name.filter(|name| name.len() <= LONGEST_NAME && names.len() < MOST_NAMES);
                names.extend(name.filter(|name| !name.contains(':')).map(str::to_owned));
            }
            _ => {}
        }
    }
    names
}

/// `{"a": 1}` in a template is JSON and no variable: its braces are doubled, unless a brace stands next to them.
fn literal_where_a_colon_stands(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(letter) = rest.chars().next() {
        let group = (letter == '{' && before != Some('{')).then(|| group(rest)).flatten();
        let taken = match group {
            Some(inside) if inside.contains(':') => {
                out.push_str("{{");
                out.push_str(inside);
                out.push_str("}}");
                inside.len() + 2
            }
            Some(inside) => {
                out.push('{');
                out.push_str(inside);
                out.push('}');
                inside.len() + 2
            }
            None => {
                out.push(letter);
                letter.len_utf8()
            }
        };
        let (done, left) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        before = done.chars().next_back();
        rest = left;
    }
    out
}

/// What stands between the brace that the text begins with and the next, if that closes it and is alone.
fn group(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('{')?;
    let (inside, after) = inside.split_at_checked(inside.find(['{', '}'])?)?;
    (after.starts_with('}') && !after.starts_with("}}")).then_some(inside)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(template: &str, values: Value) -> Result<String, String> {
        let Value::Object(values) = values else { panic!() };
        Template::parse(template)?.render(&values)
    }

    #[test]
    fn names_are_replaced_and_values_are_not_looked_at() {
        assert_eq!(render("a {x} b { x }", json!({ "x": "{y}", " x ": "z" })).unwrap(), "a {y} b z");
        assert_eq!(render("{n} {o}", json!({ "n": 5, "o": { "id": 7 } })).unwrap(), "5 {\"id\":7}");
    }

    #[test]
    fn braces_are_doubled_or_hold_json() {
        assert_eq!(render("json {{\"a\": \"{q}\"}}", json!({ "q": "Q" })).unwrap(), "json {\"a\": \"Q\"}");
        assert_eq!(render("{\"a\": 1} {q}", json!({ "q": "Q" })).unwrap(), "{\"a\": 1} Q");
        assert_eq!(render("{{\"a\": 1}} {q}", json!({ "q": "Q" })).unwrap(), "{\"a\": 1} Q");
        assert_eq!(literal_where_a_colon_stands("{a:1}{b}{c:{d}}{e:"), "{{a:1}}{b}{c:{d}}{e:");
    }

    #[test]
    fn a_brace_alone_is_an_error() {
        for template in ["{question", "question}", "{a"] {
            assert!(Template::parse(template).is_err(), "{template}");
        }
    }

    #[test]
    fn names_are_told_with_repeats() {
        let template = Template::parse("{a} {b} {a}").unwrap();
        assert_eq!(template.names().collect::<Vec<_>>(), ["a", "b", "a"]);
    }

    /// As in `wire/36`.
    #[test]
    fn names_are_counted_as_flowise_does() {
        assert_eq!(counted("hi {{{question}}} {userId}"), ["question", "{question}", "{{question}}", "userId"]);
        assert_eq!(counted("json {{\"a\": \"{question}\"}} for {userId}"), ["question", "userId"]);
        assert_eq!(counted("open { brace {question}"), ["question"]);
        assert_eq!(counted("\\{a\\} { b }} {c"), [" b "]);
    }

    #[test]
    fn braces_within_braces_are_read_once() {
        const COUNT: usize = 200_000;
        let text = "{".repeat(COUNT) + &"}".repeat(COUNT);
        assert!(counted(&text).len() <= MOST_NAMES);
        assert_eq!(Template::parse_plain(&text).unwrap().names().count(), 0);
        let text = "{{$vars.a ".repeat(COUNT) + "}";
        assert!(Template::parse_plain(&text).is_err());
    }

    #[test]
    fn what_is_known_of_a_request_is_no_name() {
        let template = Template::parse("{{$vars.a}} {{$flow.sessionId}} {{$x}}").unwrap();
        assert_eq!(template.names().count(), 0);
        let told =
            template.rendered(&Map::new(), |name| (name == "$vars.a").then(|| "{A}".to_owned()), |_| true).unwrap();
        assert_eq!(told, "{A} {$flow.sessionId} {$x}");
    }
}
