//! Inputs with places for values, read into templates.

use serde_json::Value;

use super::Inputs;
use crate::engine::text::mustache;
use crate::engine::text::mustache::{FieldTemplates, JsonTemplate, Mustache};
use crate::engine::text::template::Template;

impl Inputs<'_, '_, '_> {
    /// A text with places for values.
    pub(crate) fn mustache(&mut self, name: &str) -> Option<Mustache> {
        let text = self.text(name)?;
        Some(self.mustache_in(name, &text))
    }

    /// As [`mustache`](Self::mustache), of a text that is a part of the input.
    pub(crate) fn mustache_in(&mut self, name: &str, text: &str) -> Mustache {
        self.fills(&[name]);
        if self.is_template(name) && !self.settled.touches(name) {
            Mustache::parse(text, self.dialect())
        } else {
            Mustache::plain(text)
        }
    }

    /// A value with places for values in its texts.
    pub(crate) fn template(&mut self, name: &str) -> Option<JsonTemplate> {
        let value = self.value(name)?;
        Some(self.template_of(&[name], &value))
    }

    /// As [`template`](Self::template), of a part of the input's value, or of what that was read as.
    pub(crate) fn template_of(&mut self, path: &[&str], value: &Value) -> JsonTemplate {
        let name = path.first().copied().unwrap_or_default();
        self.fills(&[name]);
        if self.is_template(name) {
            let mut path = path.iter().map(|step| (*step).to_owned()).collect();
            JsonTemplate::of(value, self.dialect(), &self.settled, &mut path)
        } else {
            JsonTemplate::Fixed(value.clone())
        }
    }

    /// JSON with places for values, written out or as a text, which `read` reads where it is not quite JSON.
    pub(crate) fn json_template_by(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<Value, String>,
    ) -> Option<JsonTemplate> {
        let text = match self.value(name)? {
            Value::String(text) => text,
            value => return Some(self.template_of(&[name], &value)),
        };
        self.fills(&[name]);
        if self.refuse_settled(name) {
            return None;
        }
        if !self.is_template(name) {
            let value = read(&text).map_err(|error| self.refuse(name, format!("expected JSON: {error}")));
            return value.ok().map(JsonTemplate::Fixed);
        }
        let template = JsonTemplate::parse_by(&text, self.dialect(), read);
        template.map_err(|error| self.refuse(name, format!("expected JSON: {error}"))).ok()
    }

    /// As [`json_template_by`](Self::json_template_by), of what people write as JSON.
    pub(crate) fn json_template(&mut self, name: &str) -> Option<JsonTemplate> {
        self.json_template_by(name, mustache::read_json)
    }

    /// A list of keys and values.
    pub(crate) fn fields(&mut self, name: &str) -> Option<FieldTemplates> {
        let list = self.value(name)?;
        self.fills(&[name]);
        let is_template = self.is_template(name) && !self.settled.touches(name);
        Some(FieldTemplates::read(&list, is_template.then(|| self.dialect())))
    }

    /// A text with places by name, as prompts have them.
    pub(crate) fn prompt(&mut self, name: &str, text: &str) -> Option<Template> {
        self.fills(&[name]);
        if self.settled.touches(name) {
            return Some(Template::plain(text));
        }
        Template::parse(text).map_err(|error| self.refuse(name, error)).ok()
    }
}
