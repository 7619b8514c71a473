//! Schemas written in zod, as the advanced structured output parser takes them: `z.object({ title: z.string() })`.
//! What Flowise's own reader knows is read. Modifiers that it passes over, such as `.email()`, are passed over and
//! named, but for those that let a value be null, which it is then.

use serde_json::{Map, Value};

use super::schema::{LengthBounds, Schema, SchemaType};
use crate::engine::text::scanner::Scanner;

/// Schemas within schemas.
const DEEPEST: usize = 16;

/// # Errors
/// What in the text is not understood.
pub(in crate::engine::nodes) fn parse(text: &str) -> Result<(Schema, Vec<String>), String> {
    let mut reader = ZodParser { scan: Scanner::new(text), depth: 0, passed_over: Vec::new() };
    let schema = reader.schema()?;
    reader.scan.take(";");
    reader.scan.skip_blank();
    match (&schema.shape, reader.scan.rest) {
        (SchemaType::Record(_) | SchemaType::List(..), "") => Ok((schema, reader.passed_over)),
        (_, "") => Err("expected z.object(...) or z.array(...)".to_owned()),
        (_, rest) => Err(format!("expected the schema's end at {}", shown(rest))),
    }
}

struct ZodParser<'a> {
    scan: Scanner<'a>,
    depth: usize,
    /// Modifiers that change nothing.
    passed_over: Vec<String>,
}

impl ZodParser<'_> {
    fn schema(&mut self) -> Result<Schema, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("schemas may lie {DEEPEST} deep"));
        }
        if self.scan.word() != "z" {
            return Err(format!("expected z. at {}", shown(self.scan.rest)));
        }
        self.require(".")?;
        let base = self.scan.word();
        self.require("(")?;
        let shape = match base {
            "string" => SchemaType::Text(LengthBounds::default()),
            "number" => SchemaType::Number { is_whole: false },
            "boolean" => SchemaType::Flag,
            "enum" => SchemaType::Choice(self.options()?),
            "array" => SchemaType::List(Box::new(self.required()?), LengthBounds::default()),
            "object" => SchemaType::Record(self.fields()?),
            other => return Err(format!("z.{other} is not supported")),
        };
        self.scan.take(",");
        self.require(")")?;
        let mut schema = Schema::new(shape);
        while self.scan.take(".") {
            let name = self.scan.word();
            if !MODIFIERS.contains(&name) {
                self.pass_over(name)?;
                continue;
            }
            let arguments = self.arguments()?;
            schema = modified(schema, name, arguments.into_iter().next())?;
        }
        self.depth -= 1;
        Ok(schema)
    }

    /// A modifier that Flowise does not know, whatever is in its brackets.
    fn pass_over(&mut self, name: &str) -> Result<(), String> {
        if name.is_empty() {
            return Err(format!("expected a modifier at {}", shown(self.scan.rest)));
        }
        self.require("(")?;
        let mut open = 1;
        while open > 0 {
            match self.scan.next() {
                Some('"' | '\'' | '`') => {
                    self.text()?;
                    continue;
                }
                // In a pattern.
                Some('\\') => self.scan.rest = self.scan.rest.get(1..).unwrap_or_default(),
                Some('(') => open += 1,
                Some(')') => open -= 1,
                Some(_) => {}
                None => return Err(format!(".{name}( has no end")),
            }
            let mut letters = self.scan.rest.chars();
            letters.next();
            self.scan.rest = letters.as_str();
        }
        self.passed_over.push(format!(".{name}()"));
        Ok(())
    }

    /// A schema where nothing may be left out.
    fn required(&mut self) -> Result<Schema, String> {
        let schema = self.schema()?;
        if schema.is_optional { Err("an optional value in a list is not supported".to_owned()) } else { Ok(schema) }
    }

    fn fields(&mut self) -> Result<Vec<(String, Schema)>, String> {
        self.require("{")?;
        let mut fields = Vec::new();
        while !self.scan.take("}") {
            let name = self.name()?;
            self.require(":")?;
            fields.push((name, self.schema()?));
            if !self.scan.take(",") {
                self.require("}")?;
                break;
            }
        }
        Ok(fields)
    }

    fn options(&mut self) -> Result<Vec<String>, String> {
        let text = |option| if let Value::String(text) = option { Some(text) } else { None };
        match self.literal()? {
            Value::Array(options) if !options.is_empty() => options.into_iter().map(text).collect(),
            _ => None,
        }
        .ok_or_else(|| "z.enum takes a list of texts".to_owned())
    }

    fn arguments(&mut self) -> Result<Vec<Value>, String> {
        self.require("(")?;
        let mut arguments = Vec::new();
        while !self.scan.take(")") {
            arguments.push(self.literal()?);
            if !self.scan.take(",") {
                self.require(")")?;
                break;
            }
        }
        Ok(arguments)
    }

    fn literal(&mut self) -> Result<Value, String> {
        match self.scan.next() {
            Some('"' | '\'' | '`') => self.text().map(Value::from),
            Some('[') => self.list(),
            Some('{') => self.record(),
            _ => {
                let word = self.scan.until(|letter| matches!(letter, ',' | ')' | ']' | '}'));
                serde_json::from_str(word.trim()).map_err(|_| format!("expected a value at {}", shown(word)))
            }
        }
    }

    fn list(&mut self) -> Result<Value, String> {
        self.require("[")?;
        let mut items = Vec::new();
        while !self.scan.take("]") {
            items.push(self.nested()?);
            if !self.scan.take(",") {
                self.require("]")?;
                break;
            }
        }
        Ok(items.into())
    }

    fn record(&mut self) -> Result<Value, String> {
        self.require("{")?;
        let mut fields = Map::new();
        while !self.scan.take("}") {
            let name = self.name()?;
            self.require(":")?;
            fields.insert(name, self.nested()?);
            if !self.scan.take(",") {
                self.require("}")?;
                break;
            }
        }
        Ok(fields.into())
    }

    fn nested(&mut self) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("values may lie {DEEPEST} deep"));
        }
        let value = self.literal()?;
        self.depth -= 1;
        Ok(value)
    }

    /// Of a field, with or without quotation marks.
    fn name(&mut self) -> Result<String, String> {
        if matches!(self.scan.next(), Some('"' | '\'')) {
            return self.text();
        }
        match self.scan.word() {
            "" => Err(format!("expected a name at {}", shown(self.scan.rest))),
            name => Ok(name.to_owned()),
        }
    }

    /// A text in quotation marks; several blanks in it count as one, as in Flowise.
    fn text(&mut self) -> Result<String, String> {
        let mut text = String::new();
        let ended = self.scan.quoted(|letter, is_escaped| match letter {
            'n' | 't' | 'r' if is_escaped => text.push(' '),
            letter if is_escaped || !letter.is_whitespace() => text.push(letter),
            _ if text.ends_with(' ') => {}
            _ => text.push(' '),
        });
        ended.map(|()| text).ok_or_else(|| "a text has no end".to_owned())
    }

    fn require(&mut self, sign: &str) -> Result<(), String> {
        if self.scan.take(sign) { Ok(()) } else { Err(format!("expected {sign} at {}", shown(self.scan.rest))) }
    }
}

const MODIFIERS: &[&str] = &["optional", "array", "describe", "default", "int", "min", "max", "nullable", "nullish"];

/// A schema with a modifier such as `.max(5)`.
fn modified(mut schema: Schema, name: &str, argument: Option<Value>) -> Result<Schema, String> {
    let is_settled = schema.is_optional || schema.notes.contains_key("default");
    match (name, argument) {
        ("optional", None) => schema.is_optional = true,
        // Flowise forgets it, and takes null for a mistake.
        ("nullable" | "nullish", _) => schema.may_be_null = true,
        ("array", None) if schema.is_optional => {
            return Err("an optional value in a list is not supported".to_owned());
        }
        ("array", None) => schema = Schema::new(SchemaType::List(Box::new(schema), LengthBounds::default())),
        ("describe", Some(Value::String(text))) => {
            if !text.is_empty() {
                schema.notes.insert("description".to_owned(), text.into());
            }
        }
        ("default", Some(value)) => {
            schema.notes.insert("default".to_owned(), value);
        }
        ("int", None) if !is_settled => match &mut schema.shape {
            SchemaType::Number { is_whole } => *is_whole = true,
            _ => return Err(".int() belongs to numbers".to_owned()),
        },
        ("min" | "max", Some(bound)) if !is_settled => match (&mut schema.shape, bound.as_u64()) {
            (SchemaType::Text(bounds) | SchemaType::List(_, bounds), Some(bound)) => {
                let place = if name == "min" { &mut bounds.least } else { &mut bounds.most };
                *place = Some(bound);
            }
            // Flowise reads bounds of numbers and forgets them: neither model nor parser hears of them.
            (SchemaType::Number { .. }, _) if bound.is_number() => {}
            _ => return Err(format!(".{name}({bound}) is not supported here")),
        },
        _ => return Err(format!(".{name} is not supported here")),
    }
    Ok(schema)
}

/// The beginning of what is not understood.
fn shown(text: &str) -> String {
    let beginning: String = text.trim_start().chars().take(20).collect();
    format!("\"{beginning}\"")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn json_of(text: &str) -> String {
        parse(text).unwrap().0.json().to_string()
    }

    /// Expected: what Flowise 3.1.4 makes of the same text.
    #[test]
    fn schemas_are_told_as_flowise_tells_them() {
        assert_eq!(
            json_of(
                "z.object({a: z.object({x: z.boolean().optional(), d: z.string().default(\"x\")}).optional()\
                 .describe(\"obj\"), l: z.array(z.object({k: z.string()})).min(1)})"
            ),
            "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\
             \"boolean\"},\"d\":{\"type\":\"string\",\"default\":\"x\"}},\"additionalProperties\":false,\
             \"description\":\"obj\"},\"l\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"k\":\
             {\"type\":\"string\"}},\"required\":[\"k\"],\"additionalProperties\":false},\"minItems\":1}},\"required\":\
             [\"l\"],\"additionalProperties\":false}"
        );
        assert_eq!(
            json_of(
                "z.object({ // notes\n m: z.array(z.number()).optional(), e2: z.enum([\"a\",\"b\"]).optional()\
                 .describe(\"E\"), s: z.string().describe(\"d\").default(\"x\"), s2: z.string().default(\"x\")\
                 .describe(\"d\"), s3: z.string().describe(\"d\").max(3), i: z.number().int(), })"
            ),
            "{\"type\":\"object\",\"properties\":{\"m\":{\"type\":\"array\",\"items\":{\"type\":\"number\"}},\"e2\":\
             {\"type\":\"string\",\"enum\":[\"a\",\"b\"],\"description\":\"E\"},\"s\":{\"type\":\"string\",\
             \"description\":\"d\",\"default\":\"x\"},\"s2\":{\"type\":\"string\",\"default\":\"x\",\"description\":\
             \"d\"},\"s3\":{\"type\":\"string\",\"maxLength\":3,\"description\":\"d\"},\"i\":{\"type\":\"integer\"}},\
             \"required\":[\"s3\",\"i\"],\"additionalProperties\":false}"
        );
        assert_eq!(json_of("z.object({})"), "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}");
    }

    #[test]
    fn what_flowise_passes_over_is_passed_over_and_named() {
        let (schema, passed_over) = parse(
            "z.object({a: z.string().email().describe(\"d\").regex(/x\\)y/), b: z.number().nullable(), c: z.string().nullish()})",
        )
        .unwrap();
        assert_eq!(passed_over, [".email()", ".regex()"]);
        let fields = json!({
            "a": { "type": "string", "description": "d" }, "b": { "type": "number" }, "c": { "type": "string" },
        });
        assert_eq!(schema.json()["properties"], fields);
        let given = json!({ "a": "x", "b": null, "c": null });
        assert_eq!(schema.check(&given).unwrap(), given);
        assert!(schema.check(&json!({ "a": null, "b": 1, "c": "" })).unwrap_err().contains("received null"));
        assert!(parse("z.object({a: z.string().refine(x => (").is_err());
    }

    #[test]
    fn what_is_not_known_is_named() {
        for (text, error) in [
            ("z.object({a: z.date()})", "z.date is not supported"),
            ("z.string()", "expected z.object(...) or z.array(...)"),
            ("z.object({a: z.string()}) x", "expected the schema's end at \"x\""),
            ("z.object({a: z.string().max(\"5\")})", ".max(\"5\") is not supported here"),
            ("z.object({a: require(\"fs\")})", "expected z. at \"(\"fs\")})\""),
            ("z.object({a: z.enum([])})", "z.enum takes a list of texts"),
            ("z.object({a: z.string(", "expected ) at \"\""),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text}");
        }
        let deep = "z.array(".repeat(1000);
        assert!(parse(&deep).is_err());
        let deep = format!("z.object({{a: z.string().default({})", "[".repeat(100_000));
        assert!(parse(&deep).is_err());
    }
}
