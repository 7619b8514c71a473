//! What Flowise keeps beside a flow: who may call it, how often, and what callers may change.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::config::{Origins, is_reserved, override_rules};
use crate::exported::FlowRecord;
use crate::wire::json;

/// Services that Flowise tells of runs.
const ANALYTIC: &[&str] = &["arize", "langFuse", "langSmith", "langWatch", "llmonitor", "lunary", "opik", "phoenix"];

/// See the module.
#[derive(Debug, Default, PartialEq)]
pub(super) struct FlowSettings {
    /// Anyone may call it, as Flowise has it where no key is chosen.
    pub(super) is_public: bool,
    /// Pages that may call it.
    pub(super) origins: Vec<String>,
    pub(super) rate: Option<FlowRate>,
    /// What callers may set in `overrideConfig`, beside the session.
    pub(super) overrides: Vec<String>,
    /// What its widget has there and not here.
    pub(super) widget: Vec<&'static str>,
    /// What could not be taken over.
    pub(super) notes: Vec<String>,
}

/// Requests of one address in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FlowRate {
    pub(super) requests: u32,
    pub(super) seconds: u32,
}

impl FlowSettings {
    pub(super) fn of(flow: &FlowRecord) -> Self {
        let mut settings = Self { is_public: flow.id.is_some() && flow.key_id.is_none(), ..Self::default() };
        let object = |text: &Option<String>| -> Map<String, Value> {
            text.as_deref().and_then(|text| json::read_str(text).ok()).unwrap_or_default()
        };
        let (chatbot, api) = (object(&flow.chatbot_config), object(&flow.api_config));
        settings.read_widget(&chatbot);
        settings.read_origins(chatbot.get("allowedOrigins"));
        settings.read_rate(api.get("rateLimit"));
        settings.read_overrides(api.get("overrideConfig"));
        settings.read_analytic(&object(&flow.analytic));
        settings
    }

    /// Who is told of runs, and no longer is.
    fn read_analytic(&mut self, analytic: &Map<String, Value>) {
        let is_on = |name: &&&str| {
            let status = analytic.get(**name).and_then(|provider| provider.get("status"));
            status.is_some_and(|on| *on == true || *on == "true")
        };
        let told: Vec<&str> = ANALYTIC.iter().filter(is_on).copied().collect();
        if !told.is_empty() {
            let told = told.join(", ");
            self.notes.push(format!("its runs are no longer told to {told}: traces go where telemetry.otlp says"));
        }
    }

    /// What is kept for the widget, which asks for it here in vain.
    fn read_widget(&mut self, chatbot: &Map<String, Value>) {
        let kept = [("leads", "a form for leads"), ("chatFeedback", "ratings")];
        let is_kept = |name: &str| match chatbot.get(name) {
            Some(Value::Object(value)) => value.get("status").is_some_and(|on| *on == true || *on == "true"),
            _ => false,
        };
        self.widget = kept.iter().filter(|(name, _)| is_kept(name)).map(|(_, what)| *what).collect();
    }

    /// Without any, Flowise lets every page call.
    fn read_origins(&mut self, written: Option<&Value>) {
        let written = written.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let written: Vec<&str> = written.map(str::trim).filter(|text| !text.is_empty()).collect();
        for text in &written {
            match origins_of(text) {
                found if found.is_empty() => self.notes.push(format!("the allowed origin {text:?} is none")),
                found => self.origins.extend(found),
            }
        }
        self.origins.sort();
        self.origins.dedup();
        if written.is_empty() && self.is_public {
            self.origins.push("*".to_owned());
        }
        if self.is_public && self.origins.is_empty() {
            self.is_public = false;
            self.notes.push("no origin is left that may call it, so it wants a key".to_owned());
        }
    }

    fn read_rate(&mut self, written: Option<&Value>) {
        let is_on = |value: &&Value| value.get("status").is_none_or(|status| *status == true || *status == "true");
        let Some(written) = written.filter(|value| value.is_object()).filter(is_on) else { return };
        let number = |name: &str| {
            let value = written.get(name)?;
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.trim().parse::<u32>().ok().filter(|number| (1..=1_000_000).contains(number))
        };
        match (number("limitMax"), number("limitDuration")) {
            (Some(requests), Some(seconds)) => self.rate = Some(FlowRate { requests, seconds }),
            (None, None) => {}
            _ => self.notes.push("its rate limit has no number of requests or seconds".to_owned()),
        }
    }

    fn read_overrides(&mut self, written: Option<&Value>) {
        let Some(written) = written.filter(|value| value.get("status").is_some_and(|status| *status == true)) else {
            return;
        };
        let enabled = |list: &Value| -> Vec<String> {
            let items = list.as_array().into_iter().flatten();
            let is_enabled = |item: &&Value| item.get("enabled").is_some_and(|enabled| *enabled == true);
            items.filter(is_enabled).filter_map(|item| Some(item.get("name")?.as_str()?.to_owned())).collect()
        };
        let nodes = written.get("nodes").and_then(Value::as_object).into_iter().flat_map(Map::values);
        let of_nodes = nodes.flat_map(enabled).filter(|name| name != "sessionId");
        let variables = written.get("variables").map(enabled).unwrap_or_default();
        let variables = variables.into_iter().map(|name| format!("vars.{name}"));
        let mut closed = BTreeSet::new();
        for path in of_nodes.chain(variables).collect::<BTreeSet<_>>() {
            let parts: Vec<&str> = path.split('.').collect();
            let is_named = parts.iter().all(|part| !part.is_empty() && !is_reserved(part));
            if is_named && override_rules::protected(&parts).is_none() {
                self.overrides.push(path);
            } else {
                closed.insert(path);
            }
        }
        if !closed.is_empty() {
            let closed: Vec<_> = closed.into_iter().collect();
            self.notes.push(format!("callers may no longer override {}", closed.join(", ")));
        }
    }
}

impl FlowRate {
    /// As a plan's `requests`: the same on average, by the smallest unit that can say it.
    pub(super) fn per_unit(self) -> String {
        let units = [("s", 1_u64), ("min", 60), ("hour", 3_600), ("day", 86_400)];
        let (requests, seconds) = (u64::from(self.requests), u64::from(self.seconds));
        let exact = units.iter().find(|(_, unit)| (requests * unit) % seconds == 0);
        let near = || units.iter().find(|(_, unit)| requests * unit >= 10 * seconds);
        let (name, unit) = exact.or_else(near).unwrap_or(&("day", 86_400));
        format!("{}/{name}", (requests * unit / seconds).clamp(1, 1_000_000_000))
    }
}

/// Flowise compares host and port alone, and takes more spellings than browsers send.
fn origins_of(text: &str) -> Vec<String> {
    if text == "*" {
        return vec![text.to_owned()];
    }
    let lower = text.to_lowercase();
    let (schemes, rest) = match lower.split_once("://") {
        Some((scheme, rest)) => (vec![scheme.to_owned()], rest),
        None => (vec!["https".to_owned(), "http".to_owned()], lower.as_str()),
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let spelled = schemes.into_iter().map(|scheme| {
        let usual = if scheme == "https" { ":443" } else { ":80" };
        format!("{scheme}://{}", host.strip_suffix(usual).unwrap_or(host))
    });
    spelled.filter(|origin| Origins::default().add(origin).is_ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(chatbot: &Value, api: &Value) -> FlowSettings {
        FlowSettings::of(&FlowRecord {
            id: Some("1".into()),
            chatbot_config: Some(chatbot.to_string()),
            api_config: Some(api.to_string()),
            ..FlowRecord::default()
        })
    }

    #[test]
    fn origins_are_spelled_as_browsers_send_them() {
        let of = |origins: Value| settings(&json!({ "allowedOrigins": origins }), &json!({}));
        assert_eq!(of(json!(["https://Shop.example.com/"])).origins, ["https://shop.example.com"]);
        assert_eq!(of(json!(["shop.example.com"])).origins, ["http://shop.example.com", "https://shop.example.com"]);
        assert_eq!(
            of(json!(["http://a.example:80/x?y", "http://b.example:8080"])).origins,
            ["http://a.example", "http://b.example:8080"]
        );
        assert_eq!(of(json!([""])).origins, ["*"]);
        assert!(of(json!([])).is_public && of(json!(null)).is_public);
        let none = of(json!(["not an origin"]));
        assert!(!none.is_public && none.origins.is_empty() && none.notes.len() == 2, "{none:?}");
    }

    #[test]
    fn what_is_kept_for_the_widget_is_told() {
        let chatbot = json!({ "starterPrompts": { "0": { "prompt": "Hi" } }, "leads": { "status": true }, "fullFileUpload": { "status": true },
            "chatFeedback": { "status": false }, "postProcessing": { "enabled": true, "customFunction": "x" } });
        let settings = settings(&chatbot, &json!({}));
        assert_eq!(settings.widget, ["a form for leads"]);
    }

    #[test]
    fn services_that_are_no_longer_told_of_runs_are_named() {
        let analytic =
            json!({ "langSmith": { "status": true }, "lunary": { "status": false }, "x": { "status": true } });
        let told = FlowSettings::of(&FlowRecord { analytic: Some(analytic.to_string()), ..FlowRecord::default() });
        let words = "its runs are no longer told to langSmith: traces go where telemetry.otlp says";
        assert_eq!(told.notes, [words]);
    }

    #[test]
    fn rates_are_the_same_on_average() {
        for (max, duration, written) in [
            (json!(2), json!(5), "24/min"),
            (json!("60"), json!("60"), "1/s"),
            (json!(100), json!(86_400), "100/day"),
            (json!(7), json!(3_601), "167/day"),
            (json!(1), json!(604_800), "1/day"),
        ] {
            let api = json!({ "rateLimit": { "status": true, "limitMax": max, "limitDuration": duration } });
            assert_eq!(settings(&json!({}), &api).rate.unwrap().per_unit(), written);
        }
        let off = json!({ "rateLimit": { "status": false, "limitMax": 2, "limitDuration": 5 } });
        assert_eq!(settings(&json!({}), &off).rate, None);
    }

    #[test]
    fn overrides_that_no_client_may_have_are_told() {
        let item = |name: &str, enabled: bool| json!({ "name": name, "enabled": enabled });
        let api = json!({ "overrideConfig": { "status": true,
            "nodes": { "OpenAI": [item("temperature", true), item("basepath", true), item("topP", false)] },
            "variables": [item("userId", true)] } });
        let settings = settings(&json!({}), &api);
        assert_eq!(settings.overrides, ["temperature", "vars.userId"]);
        assert_eq!(settings.notes, ["callers may no longer override basepath"]);
    }
}
