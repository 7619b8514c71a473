//! The date and the time.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::arguments::parameters;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;

/// The node `currentDateTime`.
pub(super) struct CurrentDateTime;

impl NodeKind for CurrentDateTime {
    fn names(&self) -> &'static [&'static str] {
        &["currentDateTime"]
    }

    fn build(&self, _: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let spec = ToolSpec {
            name: "current_date_time".to_owned(),
            description: "Useful to get current day, date and time.".to_owned(),
            parameters: parameters(&json!({}), &[]),
        };
        Some(Part::tool(ClockTool(spec)))
    }
}

#[derive(Debug)]
struct ClockTool(ToolSpec);

impl Tool for ClockTool {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    fn call<'a>(&'a self, _: &'a Value, _: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async { Ok(ToolResult { text: told(Timestamp::now()), ..ToolResult::default() }) })
    }
}

/// In UTC, which is the time zone of servers.
fn told(now: Timestamp) -> String {
    let zoned = now.to_zoned(TimeZone::UTC);
    json!({
        "date": zoned.strftime("%Y-%m-%d").to_string(),
        "time": zoned.strftime("%H:%M:%S").to_string(),
        "day": zoned.strftime("%A").to_string(),
        "timezone": "UTC",
        "timezoneOffset": "+00:00",
        "iso8601": zoned.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        "unix_timestamp": now.as_second(),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected: what Flowise 3.1.4 said at that moment.
    #[test]
    fn the_time_is_told_as_flowise_tells_it() {
        let told = told("2026-11-23T08:38:00.553Z".parse().unwrap());
        assert_eq!(
            told,
            "{\"date\":\"2026-11-23\",\"time\":\"08:38:00\",\"day\":\"Monday\",\"timezone\":\"UTC\",\
             \"timezoneOffset\":\"+00:00\",\"iso8601\":\"2026-11-23T08:38:00.553Z\",\"unix_timestamp\":1795423080}"
        );
    }
}
