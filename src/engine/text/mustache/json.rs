//! JSON with references in it: in its texts, or in the place of a whole value.

use serde_json::{Map, Value};

use super::{BARE, Dialect, END, MARK, Mustache, Names, lenient};
use crate::engine::text::overrides::FilledPaths;
use crate::engine::text::size::{bytes_of, bytes_of_json};
use crate::wire::json::read_str;

/// See the module. Its names are always the author's.
#[derive(Debug, Clone)]
pub(crate) enum JsonTemplate {
    /// Refers to nothing.
    Fixed(Value),
    /// In quotation marks: a text, whatever it is filled in with.
    Text(Mustache),
    /// A text of a node's input, which may stand for a value of any kind: see [`Mustache::value`].
    Input(Mustache),
    /// One reference without quotation marks. It stands for one whole JSON value, and nothing beside it can be touched
    /// by what the value is: so a text is read, strictly, if it is JSON itself, such as a model's answer. This is the
    /// only kind of place where a value is read.
    Bare(Mustache),
    /// The same for a text that is one reference, where nothing but an object, or a list as well, is read.
    Object(Mustache),
    Bracketed(Mustache),
    List(Vec<JsonTemplate>),
    Fields(Vec<(String, JsonTemplate)>),
}

impl JsonTemplate {
    /// JSON as its author wrote it, more or less.
    ///
    /// # Errors
    /// It is no JSON, or has references in its names.
    pub(crate) fn parse(text: &str, dialect: Dialect) -> Result<Self, String> {
        Self::parse_by(text, dialect, lenient::parse)
    }

    /// As [`parse`](Self::parse), with another way to read what is nearly JSON.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub(crate) fn parse_by(
        text: &str,
        dialect: Dialect,
        read: impl FnOnce(&str) -> Result<Value, String>,
    ) -> Result<Self, String> {
        let mustache = Mustache::parse(text, dialect);
        let marked = mustache.marked();
        let value = lenient::parse(&marked).or_else(|error| read(&marked).map_err(|_| error));
        // Nobody wrote the marks.
        let value = value.map_err(|error| error.split(" at line ").next().unwrap_or_default().to_owned())?;
        Self::of_marked(value, &mustache)
    }

    fn of_marked(value: Value, mustache: &Mustache) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) if text.starts_with(BARE) => {
                Self::Bare(mustache.bare(&text).ok_or("a reference stands where none can")?)
            }
            Value::String(text) if text.contains(MARK) => Self::Text(mustache.remarked(&text)),
            Value::Array(items) => {
                let items = items.into_iter().map(|item| Self::of_marked(item, mustache));
                Self::list(items.collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let field = |(name, value): (String, Value)| {
                    if name.contains([MARK, BARE, END]) {
                        return Err("its names must be written out; {{...}} may stand for values".to_owned());
                    }
                    Ok((name, Self::of_marked(value, mustache)?))
                };
                Self::fields(fields.into_iter().map(field).collect::<Result<_, _>>()?)
            }
            value => Self::Fixed(value),
        })
    }

    /// JSON that is read already, with references in its texts; those that are `settled` have none.
    pub(crate) fn of(value: &Value, dialect: Dialect, settled: &FilledPaths, path: &mut Vec<String>) -> Self {
        match value {
            Value::String(text) if text.contains("{{") && !settled.has(path) => {
                let template = Mustache::parse(text, dialect);
                match (template.fixed(), dialect) {
                    (Some(_), _) => Self::Fixed(value.clone()),
                    (None, Dialect::Agentflow) => Self::Input(template),
                    (None, Dialect::Chatflow) => Self::Text(template),
                }
            }
            Value::Array(items) => {
                let item = |(at, item): (usize, &Value)| {
                    within(path, &at.to_string(), |path| Self::of(item, dialect, settled, path))
                };
                Self::list(items.iter().enumerate().map(item).collect())
            }
            Value::Object(fields) => {
                let field = |(name, field): (&String, &Value)| {
                    (name.clone(), within(path, name, |path| Self::of(field, dialect, settled, path)))
                };
                Self::fields(fields.iter().map(field).collect())
            }
            value => Self::Fixed(value.clone()),
        }
    }

    fn list(items: Vec<Self>) -> Self {
        match items.iter().map(Self::fixed).collect::<Option<Vec<&Value>>>() {
            Some(values) => Self::Fixed(values.into_iter().cloned().collect()),
            None => Self::List(items),
        }
    }

    fn fields(fields: Vec<(String, Self)>) -> Self {
        if fields.iter().any(|(_, field)| field.fixed().is_none()) {
            return Self::Fields(fields);
        }
        let value = |(name, field): (String, Self)| Some((name, field.fixed()?.clone()));
        Self::Fixed(Value::Object(fields.into_iter().filter_map(value).collect()))
    }

    pub(crate) fn fixed(&self) -> Option<&Value> {
        if let Self::Fixed(value) = self { Some(value) } else { None }
    }

    /// The names and values of an object.
    pub(crate) fn into_fields(self) -> Option<Vec<(String, Self)>> {
        match self {
            Self::Fields(fields) => Some(fields),
            Self::Fixed(Value::Object(fields)) => {
                Some(fields.into_iter().map(|(name, value)| (name, Self::Fixed(value))).collect())
            }
            _ => None,
        }
    }

    /// Every text with references, and where it stands.
    pub(crate) fn references<'t>(&'t self, path: &mut Vec<String>, visit: &mut dyn FnMut(&[String], &'t Self)) {
        match self {
            Self::Fixed(_) => {}
            Self::Text(_) | Self::Input(_) | Self::Bare(_) | Self::Object(_) | Self::Bracketed(_) => {
                visit(path, self);
            }
            Self::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    within(path, &at.to_string(), |path| item.references(path, visit));
                }
            }
            Self::Fields(fields) => {
                for (name, field) in fields {
                    within(path, name, |path| field.references(path, visit));
                }
            }
        }
    }

    /// The text of a place.
    pub(crate) fn mustache(&self) -> Option<&Mustache> {
        match self {
            Self::Text(text) | Self::Input(text) | Self::Bare(text) | Self::Object(text) | Self::Bracketed(text) => {
                Some(text)
            }
            _ => None,
        }
    }

    /// The JSON with everything filled in.
    ///
    /// # Errors
    /// A reference without quotation marks stands for nothing.
    pub(crate) fn value(&self, names: &dyn Names) -> Result<Value, String> {
        Ok(match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(text) => text.text(names).into(),
            Self::Input(text) => text.value(names),
            Self::Bare(reference) => bare(reference, names)?,
            Self::Object(reference) => read_where(reference.value(names), names, Value::is_object),
            Self::Bracketed(reference) => {
                read_where(reference.value(names), names, |value| value.is_object() || value.is_array())
            }
            Self::List(items) => {
                let mut room = TextRoom::of(names);
                items.iter().map(|item| room.after(item.value(names)?)).collect::<Result<_, _>>()?
            }
            Self::Fields(fields) => {
                let mut room = TextRoom::of(names);
                let mut field = |(name, field): &(String, Self)| Ok((name.clone(), room.after(field.value(names)?)?));
                Value::Object(fields.iter().map(&mut field).collect::<Result<Map<_, _>, String>>()?)
            }
        })
    }
}

/// Many places may be filled in with the same long text: together they are no more than a run may hold.
struct TextRoom<'a> {
    names: &'a dyn Names,
    taken: usize,
}

impl<'a> TextRoom<'a> {
    fn of(names: &'a dyn Names) -> Self {
        Self { names, taken: 0 }
    }

    fn after(&mut self, value: Value) -> Result<Value, String> {
        self.taken = self.taken.saturating_add(bytes_of(&value));
        if self.names.has_room(self.taken) { Ok(value) } else { Err("there is no room for more text".to_owned()) }
    }
}

/// What a text is as JSON, if it is that kind of value.
fn read_where(value: Value, names: &dyn Names, is_meant: impl Fn(&Value) -> bool) -> Value {
    let text = value.as_str().filter(|text| names.has_room(bytes_of_json(text.as_bytes())));
    let read = text.and_then(|text| read_str(text).ok());
    read.filter(is_meant).unwrap_or(value)
}

fn bare(reference: &Mustache, names: &dyn Names) -> Result<Value, String> {
    let found = reference.alone().and_then(|name| names.find(name));
    match found.ok_or_else(|| format!("there is no value for {}", reference.written()))? {
        Value::String(text) if !names.has_room(bytes_of_json(text.as_bytes())) => Ok(text.into()),
        Value::String(text) => Ok(read_str(&text).unwrap_or_else(|_| text.into())),
        value => Ok(value),
    }
}

fn within<T>(path: &mut Vec<String>, step: &str, work: impl FnOnce(&mut Vec<String>) -> T) -> T {
    path.push(step.to_owned());
    let done = work(path);
    path.pop();
    done
}
