//! Records as Flowise's tables have them, as far as they are of use elsewhere.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::unprintable::is_unprintable;
use crate::wire::json;

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
    /// JSON: who else is told of its runs.
    #[serde(deserialize_with = "text")]
    pub(crate) analytic: Option<String>,
    /// JSON: which model is asked what else might be asked.
    #[serde(deserialize_with = "text")]
    pub(crate) follow_up_prompts: Option<String>,
}

/// Characters of a title.
const TITLE: usize = 80;

/// What of a record is told of beside its nodes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExportProbe {
    nodes: Option<IgnoredAny>,
    chatbot_config: Option<IgnoredAny>,
    follow_up_prompts: Option<IgnoredAny>,
}

impl FlowRecord {
    /// The export, with the record's settings of the widget in it: a flow in a file of its own has no other place for them.
    pub(crate) fn into_export(self) -> Option<String> {
        let flow = self.flow_data?;
        let is_settings = |text: &String| json::read_str::<Map<String, Value>>(text).is_ok();
        let probe: Option<ExportProbe> = json::read_str(&flow).ok();
        let Some(probe) = probe.filter(|probe| probe.nodes.is_some()) else { return Some(flow) };
        let settings = [
            ("chatbotConfig", self.chatbot_config, probe.chatbot_config.is_none()),
            ("followUpPrompts", self.follow_up_prompts, probe.follow_up_prompts.is_none()),
        ];
        let settings = settings.into_iter().filter_map(|(name, settings, has_place)| {
            let settings = settings.filter(|settings| has_place && is_settings(settings))?;
            Some(format!("\"{name}\":{settings},"))
        });
        let settings: String = settings.collect();
        match flow.trim_start().strip_prefix('{').filter(|_| !settings.is_empty()) {
            Some(rest) => Some(format!("{{{settings}{rest}")),
            None => Some(flow),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_widget_go_into_the_export() {
        let record = |flow: &str, settings: &str| FlowRecord {
            flow_data: Some(flow.to_owned()),
            chatbot_config: Some(settings.to_owned()),
            ..FlowRecord::default()
        };
        let export = record(" {\"nodes\":[]}", "{\"a\":{}}").into_export().unwrap();
        assert_eq!(export, "{\"chatbotConfig\":{\"a\":{}},\"nodes\":[]}");
        let follow_ups =
            FlowRecord { follow_up_prompts: Some("{\"b\":1}".to_owned()), ..record("{\"nodes\":[]}", "{}") };
        assert_eq!(
            follow_ups.into_export().unwrap(),
            "{\"chatbotConfig\":{},\"followUpPrompts\":{\"b\":1},\"nodes\":[]}"
        );
        for (flow, settings) in [
            ("{\"nodes\":[]}", "null"),
            ("{\"nodes\":[]}", "{} x"),
            ("{}", "{}"),
            ("[]", "{}"),
            ("{\"nodes\":[],\"chatbotConfig\":{}}", "{}"),
        ] {
            assert_eq!(record(flow, settings).into_export().as_deref(), Some(flow), "{settings}");
        }
    }
}
