//! Where each field of a document stands, for whoever names the line that has decided something.

use std::collections::BTreeMap;

use super::value::{Value, YamlNode};
use super::{MAX_BYTES, options};

/// Maps within one another of which fields are known: `upstreams.flowise.flowise.urls`.
const DEEPEST: usize = 4;
/// Fields of one document.
const MOST: usize = 50_000;

/// Lines by dotted path. Of a field that is not written nothing is known.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FieldPlaces(BTreeMap<Box<str>, u32>);

impl FieldPlaces {
    /// Of a document that was read before.
    pub(crate) fn of(text: &str) -> Self {
        let mut places = Self::default();
        if text.len() <= MAX_BYTES
            && let Ok(root) = serde_saphyr::from_str_with_options::<YamlNode>(text, options(MAX_BYTES))
        {
            places.add("", &root.value, DEEPEST);
        }
        places
    }

    fn add(&mut self, above: &str, value: &Value, depth: usize) {
        let Some(below) = depth.checked_sub(1) else { return };
        if let Value::List(items) = value {
            for (index, item) in items.iter().enumerate() {
                if self.0.len() >= MOST {
                    return;
                }
                let path = format!("{above}[{index}]");
                self.add(&path, &item.value, below);
                self.0.insert(path.into(), item.line);
            }
            return;
        }
        let Value::Map(entries) = value else { return };
        for (name, node) in entries {
            if self.0.len() >= MOST {
                return;
            }
            let path = if above.is_empty() { name.value.clone() } else { format!("{above}.{}", name.value) };
            self.add(&path, &node.value, below);
            self.0.insert(path.into(), name.line);
        }
    }

    /// The line of that field.
    pub(crate) fn line(&self, field: &str) -> Option<u32> {
        self.0.get(field).copied().filter(|line| *line > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_path() {
        let text = "server: { max_body: 1MiB,\n  max_upload: 2MiB }\nchatflows:\n  a.b:\n    plan: x\n    vars: { c: { d: 1 } }\n\
                    upstreams:\n  flowise: { flowise: { urls: [] } }\nidentity:\n  - name: a\n  - { name: b,\n    plan: c }\n";
        let places = FieldPlaces::of(text);
        for (field, line) in [
            ("server", Some(1)),
            ("identity[1].plan", Some(12)),
            ("server.max_upload", Some(2)),
            ("chatflows.a.b", Some(4)),
            ("chatflows.a.b.plan", Some(5)),
            ("upstreams.flowise.flowise.urls", Some(8)),
            ("chatflows.a.b.access", None),
            ("", None),
        ] {
            assert_eq!(places.line(field), line, "{field}");
        }
        assert_eq!(FieldPlaces::of("a: [").line("a"), None);
    }
}
