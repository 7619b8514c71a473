//! Why reading ends before the document does.

use std::fmt;

use serde::de::{Expected, Unexpected};

use super::{NodePath, YamlNode};

/// Why reading ended. No message: it is in the report already.
#[derive(Debug)]
pub(super) struct DeserializeError {
    pub(super) message: Option<String>,
    pub(super) at: Option<(u32, u32)>,
    pub(super) field: String,
}

impl DeserializeError {
    /// Places a failure that does not know its place yet.
    pub(super) fn place(mut self, node: &YamlNode, path: NodePath<'_>) -> Self {
        if self.at.is_none() {
            self.at = Some(node.at());
            self.field = path.to_string();
        }
        self
    }
}

impl fmt::Display for DeserializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message.as_deref().unwrap_or("reported"))
    }
}

impl std::error::Error for DeserializeError {}

impl serde::de::Error for DeserializeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: Some(message.to_string()), at: None, field: String::new() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => "true or false",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Str(_) => "a string",
            Unexpected::Unit | Unexpected::Option => "nothing",
            Unexpected::Seq => "a list",
            _ => "a map",
        };
        let expected = expected.to_string();
        let quote = expected == "a string" && matches!(found, "a number" | "true or false");
        let hint = if quote { ": put it in quotes" } else { "" };
        Self::custom(format_args!("expected {expected}, found {found}{hint}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("expected {}", expected.join(" or ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format_args!("the field `{field}` is missing"))
    }
}
