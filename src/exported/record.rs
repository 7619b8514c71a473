//! Records as Flowise's tables have them, as far as they are of use elsewhere.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::unprintable::is_unprintable;

/// A chatflow, an agentflow of either generation, or an assistant.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct FlowRecord {
    #[serde(deserialize_with = "text")]
    pub(crate) id: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(crate) name: Option<String>,
    /// The export itself.
    #[serde(deserialize_with = "text")]
    pub(crate) flow_data: Option<String>,
    /// The only key that may call it.
    #[serde(rename = "apikeyid", deserialize_with = "text")]
    pub(crate) key_id: Option<String>,
    /// JSON.
    #[serde(deserialize_with = "text")]
    pub(crate) chatbot_config: Option<String>,
    /// JSON.
    #[serde(deserialize_with = "text")]
    pub(crate) api_config: Option<String>,
}

/// Characters of a title.
const TITLE: usize = 80;

impl FlowRecord {
    /// What its author calls it, on one line.
    pub(crate) fn title(&self) -> String {
        let name = self.name.as_deref().unwrap_or_default();
        name.chars().map(|letter| if is_unprintable(letter) { ' ' } else { letter }).take(TITLE).collect()
    }
}

/// Something that was said.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MessageRecord {
    #[serde(deserialize_with = "text")]
    pub(crate) role: Option<String>,
    #[serde(rename = "chatflowid", deserialize_with = "text")]
    pub(crate) flow: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(crate) content: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(crate) created_date: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(crate) chat_id: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(crate) session_id: Option<String>,
}

/// A variable of all flows.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct VariableRecord {
    #[serde(deserialize_with = "text")]
    pub(crate) name: Option<String>,
    /// Exports of 3.x leave it out.
    #[serde(deserialize_with = "text")]
    pub(crate) value: Option<String>,
    /// `static`, or `runtime`: it comes from Flowise's environment.
    #[serde(rename = "type", deserialize_with = "text")]
    pub(crate) kind: Option<String>,
}

/// A text; JSON that stands there as it is becomes its text, and what is empty is none.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(text) => Some(text).filter(|text| !text.is_empty()),
        value => Some(value.to_string()),
    })
}
