//! What an answer must look like, as far as Flowise's nodes can say it: JSON Schema for the model, and zod's verdict on
//! what the model gives.

use serde_json::{Map, Value, json};

use crate::engine::text::javascript::kind_of;

/// What is wrong with an answer is told to a model or a person: a long list of numbers in the place of one of texts
/// would be hundreds of megabytes.
const MOST_ISSUES: usize = 50;

/// A value of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::engine::nodes) struct Schema {
    pub(super) shape: SchemaType,
    /// What is said about it: `description` and `default`, in the order in which the model is told.
    pub(super) notes: Map<String, Value>,
    pub(super) is_optional: bool,
    /// Taken as it is where the model says it, which the model is not told of.
    pub(super) may_be_null: bool,
    /// What is said if it is missing.
    pub(super) missing: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum SchemaType {
    Text(LengthBounds),
    Number { is_whole: bool },
    Flag,
    Choice(Vec<String>),
    List(Box<Schema>, LengthBounds),
    Record(Vec<(String, Schema)>),
}

/// Of a length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LengthBounds {
    pub(super) least: Option<u64>,
    pub(super) most: Option<u64>,
}

impl Schema {
    pub(super) fn new(shape: SchemaType) -> Self {
        Self { shape, notes: Map::new(), is_optional: false, may_be_null: false, missing: None }
    }

    fn is_required(&self) -> bool {
        !self.is_optional && !self.notes.contains_key("default")
    }

    /// JSON Schema, as `zod-to-json-schema` writes it.
    pub(in crate::engine::nodes) fn json(&self) -> Value {
        let mut json = match &self.shape {
            SchemaType::Text(bounds) => bounds.noted(json!({ "type": "string" }), "minLength", "maxLength"),
            SchemaType::Number { is_whole } => json!({ "type": if *is_whole { "integer" } else { "number" } }),
            SchemaType::Flag => json!({ "type": "boolean" }),
            SchemaType::Choice(options) => json!({ "type": "string", "enum": options }),
            SchemaType::List(of, bounds) => {
                bounds.noted(json!({ "type": "array", "items": of.json() }), "minItems", "maxItems")
            }
            SchemaType::Record(fields) => record(fields),
        };
        if let Value::Object(json) = &mut json {
            json.extend(self.notes.clone());
        }
        json
    }

    /// What is made of a value: unknown fields are dropped, defaults stand for what is missing.
    ///
    /// # Errors
    /// Everything that is wrong with it, in zod's words.
    pub(in crate::engine::nodes) fn check(&self, value: &Value) -> Result<Value, String> {
        let mut checking = Checking::default();
        let checked = checking.check(self, Some(value));
        match checked {
            Some(value) if checking.issues.is_empty() => Ok(value),
            _ => Err(serde_json::to_string_pretty(&checking.issues).unwrap_or_default()),
        }
    }
}

fn record(fields: &[(String, Schema)]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|(name, field)| (name.clone(), field.json())).collect();
    let required: Vec<&str> =
        fields.iter().filter(|(_, field)| field.is_required()).map(|(name, _)| name.as_str()).collect();
    let mut json = Map::new();
    json.insert("type".to_owned(), "object".into());
    json.insert("properties".to_owned(), properties.into());
    if !required.is_empty() {
        json.insert("required".to_owned(), required.into());
    }
    json.insert("additionalProperties".to_owned(), false.into());
    json.into()
}

impl LengthBounds {
    fn noted(self, mut json: Value, least: &str, most: &str) -> Value {
        for (name, bound) in [(least, self.least), (most, self.most)] {
            if let (Value::Object(json), Some(bound)) = (&mut json, bound) {
                json.insert(name.to_owned(), bound.into());
            }
        }
        json
    }
}

#[derive(Default)]
struct Checking {
    issues: Vec<Value>,
    path: Vec<Value>,
}

impl Checking {
    /// `None`: there is nothing, which is as it should be, or an issue says why not.
    fn check(&mut self, schema: &Schema, value: Option<&Value>) -> Option<Value> {
        let Some(value) = value else {
            if let Some(default) = schema.notes.get("default") {
                return Some(default.clone());
            }
            if !schema.is_optional {
                let message = schema.missing.as_deref().unwrap_or("Required");
                self.wrong_type(schema, "undefined", message);
            }
            return None;
        };
        match (&schema.shape, value) {
            (_, Value::Null) if schema.may_be_null => Some(Value::Null),
            (SchemaType::Text(bounds), Value::String(text)) => {
                let length = text.encode_utf16().count();
                self.bounds(*bounds, length, "string", ("String", "character(s)"));
                Some(value.clone())
            }
            (SchemaType::Number { is_whole }, Value::Number(number)) => {
                if *is_whole && number.as_f64().is_none_or(|number| number.fract() != 0.0) {
                    let message = "Expected integer, received float";
                    let issue = json!({ "code": "invalid_type", "expected": "integer", "received": "float" });
                    self.add_told_first(issue, message);
                }
                Some(value.clone())
            }
            (SchemaType::Flag, Value::Bool(_)) => Some(value.clone()),
            (SchemaType::Choice(options), Value::String(text)) => {
                if !options.contains(text) {
                    let message = format!("Invalid enum value. Expected {}, received '{text}'", quoted(options));
                    self.add(json!({ "received": text, "code": "invalid_enum_value", "options": options }), &message);
                }
                Some(value.clone())
            }
            (SchemaType::List(of, bounds), Value::Array(items)) => {
                self.bounds(*bounds, items.len(), "array", ("Array", "element(s)"));
                Some(self.items(of, items).into())
            }
            (SchemaType::Record(fields), Value::Object(given)) => Some(self.fields(fields, given).into()),
            (_, value) => {
                let received = kind_of(value);
                let message = format!("Expected {}, received {received}", expected(schema));
                self.wrong_type(schema, received, &message);
                None
            }
        }
    }

    fn items(&mut self, of: &Schema, items: &[Value]) -> Vec<Value> {
        let mut checked = Vec::with_capacity(items.len());
        for (position, item) in items.iter().enumerate() {
            self.path.push(position.into());
            checked.extend(self.check(of, Some(item)));
            self.path.pop();
        }
        checked
    }

    fn fields(&mut self, fields: &[(String, Schema)], given: &Map<String, Value>) -> Map<String, Value> {
        let mut checked = Map::new();
        for (name, field) in fields {
            self.path.push(name.as_str().into());
            if let Some(value) = self.check(field, given.get(name)) {
                checked.insert(name.clone(), value);
            }
            self.path.pop();
        }
        checked
    }

    fn bounds(&mut self, bounds: LengthBounds, length: usize, kind: &str, (what, of): (&str, &str)) {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        if let Some(least) = bounds.least.filter(|least| length < *least) {
            let message = format!("{what} must contain at least {least} {of}");
            let issue =
                json!({ "code": "too_small", "minimum": least, "type": kind, "inclusive": true, "exact": false });
            self.add_told_first(issue, &message);
        }
        if let Some(most) = bounds.most.filter(|most| length > *most) {
            let message = format!("{what} must contain at most {most} {of}");
            let issue = json!({ "code": "too_big", "maximum": most, "type": kind, "inclusive": true, "exact": false });
            self.add_told_first(issue, &message);
        }
    }

    fn wrong_type(&mut self, schema: &Schema, received: &str, message: &str) {
        let expected = expected(schema);
        let issue = match schema.shape {
            SchemaType::Choice(_) => json!({ "expected": expected, "received": received, "code": "invalid_type" }),
            _ => json!({ "code": "invalid_type", "expected": expected, "received": received }),
        };
        self.add(issue, message);
    }

    fn add(&mut self, mut issue: Value, message: &str) {
        if self.issues.len() >= MOST_ISSUES {
            return;
        }
        if let Value::Object(issue) = &mut issue {
            issue.insert("path".to_owned(), self.path.clone().into());
            issue.insert("message".to_owned(), message.into());
        }
        self.issues.push(issue);
    }

    /// zod writes the two the other way round where a check brings its own words.
    fn add_told_first(&mut self, mut issue: Value, message: &str) {
        if let Value::Object(issue) = &mut issue {
            issue.insert("message".to_owned(), message.into());
        }
        self.add(issue, message);
    }
}

fn expected(schema: &Schema) -> String {
    match &schema.shape {
        SchemaType::Text(_) => "string".to_owned(),
        SchemaType::Number { .. } => "number".to_owned(),
        SchemaType::Flag => "boolean".to_owned(),
        SchemaType::Choice(options) => quoted(options),
        SchemaType::List(..) => "array".to_owned(),
        SchemaType::Record(_) => "object".to_owned(),
    }
}

fn quoted(options: &[String]) -> String {
    options.iter().map(|option| format!("'{option}'")).collect::<Vec<_>>().join(" | ")
}
