//! Lists of names and values, as of a form or a query.

use serde_json::Value;

use super::{Dialect, Mustache, Names};

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldTemplates(Vec<(Mustache, Mustache)>);

impl FieldTemplates {
    /// A list of `key` and `value`.
    /// `dialect`: of the references in its texts; `None`: there are none.
    pub(crate) fn read(list: &Value, dialect: Option<Dialect>) -> Self {
        let field = |item: &Value| {
            let part = |name: &str| match item.get(name) {
                Some(Value::String(text)) => {
                    dialect.map_or_else(|| Mustache::plain(text), |dialect| Mustache::parse(text, dialect))
                }
                None | Some(Value::Null) => Mustache::default(),
                Some(value) => Mustache::plain(&value.to_string()),
            };
            (part("key"), part("value"))
        };
        Self(list.as_array().into_iter().flatten().map(field).collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Mustache, Mustache)> {
        self.0.iter()
    }

    /// Without those that lack a name or a value. A name that was filled in does not stand for one that the author wrote.
    pub(crate) fn filled(&self, names: &dyn Names) -> Vec<(String, String)> {
        let is_written = |name: &str| self.0.iter().any(|(own, _)| own.fixed() == Some(name));
        let field = |(name, value): &(Mustache, Mustache)| {
            let (is_fixed, name, value) = (name.fixed().is_some(), name.text(names), value.text(names));
            let is_taken = !is_fixed && is_written(&name);
            (!name.is_empty() && !value.is_empty() && !is_taken).then_some((name, value))
        };
        self.0.iter().filter_map(field).collect()
    }
}
