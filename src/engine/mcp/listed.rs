//! Which tools a server has: all pages of its list, cleaned as Flowise cleans them, and kept for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::run::Run;
use crate::engine::contract::servers::ListedTool;
use crate::engine::text::size::bytes_of;

/// So long a list is taken for true.
const FRESH: Duration = Duration::from_mins(5);
/// Servers whose lists are kept.
const MOST_SERVERS: usize = 256;
/// Of all lists that are kept, as they are held.
const MOST_KEPT: usize = 32 << 20;
/// Of one server.
const MOST_TOOLS: usize = 1024;
const LONGEST_LIST: usize = 4 << 20;
const MOST_PAGES: usize = 64;
/// Of a description, as JavaScript counts letters.
const LONGEST_DESCRIPTION: usize = 1024;
const LONGEST_NAME: usize = 128;

/// As a server names it.
fn listed(tool: &Value) -> Option<ListedTool> {
    let name = tool.get("name")?.as_str()?.to_owned();
    let description = tool.get("description").and_then(Value::as_str).filter(|text| !text.is_empty());
    let spec = ToolSpec {
        name: plain_name(&name),
        description: plain_description(description.unwrap_or(&name)),
        parameters: parameters(tool.get("inputSchema")),
    };
    Some(ListedTool { name, spec })
}

/// The order in which Flowise's library writes a schema.
fn parameters(schema: Option<&Value>) -> Value {
    let Some(schema) = schema.and_then(Value::as_object) else { return json!({ "type": "object", "properties": {} }) };
    let first = ["type", "properties", "required"];
    let known = first.iter().filter_map(|name| Some(((*name).to_owned(), schema.get(*name)?.clone())));
    let rest = schema.iter().filter(|(name, _)| !first.contains(&name.as_str()));
    Value::Object(known.chain(rest.map(|(name, value)| (name.clone(), value.clone()))).collect::<Map<_, _>>())
}

fn plain_name(name: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-') { letter } else { '_' };
    // One that takes two units of JavaScript's becomes two.
    let units = name.trim().chars().flat_map(|letter| std::iter::repeat_n(plain(letter), letter.len_utf16()));
    units.take(LONGEST_NAME).collect()
}

/// Without control codes, and without marks that turn the direction or take no place.
fn plain_description(text: &str) -> String {
    let is_hidden = |letter: char| {
        (letter.is_ascii_control() && !matches!(letter, '\t' | '\n' | '\r'))
            || matches!(letter, '\u{200b}'..='\u{200d}' | '\u{2028}'..='\u{202e}' | '\u{2060}' | '\u{feff}')
    };
    let mut units = 0;
    let fits = |letter: &char| {
        units += letter.len_utf16();
        units <= LONGEST_DESCRIPTION
    };
    text.chars().filter(|letter| !is_hidden(*letter)).take_while(fits).collect()
}

/// Asks for page after page.
///
/// # Errors
/// The server does not say, or has no end.
pub(super) async fn all_pages(
    mut ask: impl AsyncFnMut(Value) -> Result<Value, Failure>,
    run: &Run<'_>,
) -> Result<Vec<ListedTool>, Failure> {
    let mut tools = Vec::new();
    let (mut params, mut bytes) = (Value::Null, 0_usize);
    for _ in 0..MOST_PAGES {
        let page = ask(params).await?;
        let found = page.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        bytes = bytes.saturating_add(found.iter().map(bytes_of).sum());
        run.budget().has_room(bytes)?;
        if bytes > LONGEST_LIST {
            return Err(Failure::flow(format!(
                "the server's list of tools takes more than {} MiB",
                LONGEST_LIST >> 20
            )));
        }
        tools.extend(found.iter().filter_map(listed));
        if tools.len() > MOST_TOOLS {
            return Err(Failure::flow(format!("the server has more than {MOST_TOOLS} tools")));
        }
        match page.get("nextCursor").and_then(Value::as_str) {
            Some(cursor) => params = json!({ "cursor": cursor }),
            None => return Ok(tools),
        }
    }
    Err(Failure::flow("the server's list of tools has no end"))
}

/// Tools, since when they are known, and what they take.
#[derive(Debug)]
struct KnownTools {
    since: Instant,
    tools: Arc<[ListedTool]>,
    bytes: usize,
}

/// What a list takes.
fn taken(tools: &[ListedTool]) -> usize {
    let tool = |ListedTool { name, spec }: &ListedTool| {
        name.len() + spec.name.len() + spec.description.len() + bytes_of(&spec.parameters)
    };
    tools.iter().map(tool).sum()
}

/// Lists, by what they were asked for with.
#[derive(Debug, Default)]
pub(super) struct ListedTools(Mutex<HashMap<[u8; 32], KnownTools>>);

impl ListedTools {
    pub(super) fn get(&self, key: &[u8; 32]) -> Option<Arc<[ListedTool]>> {
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.get(key).filter(|known| known.since.elapsed() < FRESH).map(|known| Arc::clone(&known.tools))
    }

    pub(super) fn put(&self, key: [u8; 32], tools: &Arc<[ListedTool]>) {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = taken(tools);
        let is_full = |lists: &HashMap<[u8; 32], KnownTools>| {
            lists.len() >= MOST_SERVERS || bytes + lists.values().map(|known| known.bytes).sum::<usize>() > MOST_KEPT
        };
        if is_full(&lists) {
            lists.retain(|_, known| known.since.elapsed() < FRESH);
            if is_full(&lists) {
                lists.clear();
            }
        }
        lists.insert(key, KnownTools { since: Instant::now(), tools: Arc::clone(tools), bytes });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_cleaned_as_flowise_cleans_them() {
        let schema = json!({ "$schema": "x", "required": ["a"], "properties": { "a": {} }, "type": "object" });
        let tool = json!({ "name": " get.user 😀", "description": "a\u{200b}b\u{7}c", "inputSchema": schema });
        let tool = listed(&tool).unwrap();
        assert_eq!((tool.spec.name.as_str(), tool.spec.description.as_str()), ("get_user___", "abc"));
        assert_eq!(tool.name, " get.user 😀");
        let fields: Vec<&String> = tool.spec.parameters.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["type", "properties", "required", "$schema"]);
        let bare = listed(&json!({ "name": "n" })).unwrap();
        assert_eq!((bare.spec.description.as_str(), bare.spec.parameters["type"].as_str()), ("n", Some("object")));
        assert_eq!(plain_description(&"x".repeat(3000)).len(), LONGEST_DESCRIPTION);
        assert!(plain_description(&"😀".repeat(3000)).encode_utf16().count() <= LONGEST_DESCRIPTION);
        assert_eq!(plain_name(&"n".repeat(300)).len(), LONGEST_NAME);
    }

    #[test]
    fn lists_are_kept_for_a_while_and_not_all_of_them() {
        let lists = ListedTools::default();
        let none: Arc<[ListedTool]> = Arc::default();
        for number in 0..=u8::MAX {
            lists.put([number; 32], &none);
        }
        assert!(lists.get(&[3; 32]).is_some() && lists.get(&[7; 32]).is_some());
        let mut other = [1; 32];
        other[0] = 0;
        lists.put(other, &none);
        assert!(lists.get(&[3; 32]).is_none() && lists.get(&other).is_some());
    }

    #[test]
    fn lists_that_are_long_are_not_kept_by_the_hundred() {
        let lists = ListedTools::default();
        let spec = ToolSpec { name: String::new(), description: "x".repeat(MOST_KEPT / 10), parameters: Value::Null };
        let long: Arc<[ListedTool]> = [ListedTool { name: String::new(), spec }].into();
        for number in 0..9 {
            lists.put([number; 32], &long);
        }
        assert!((0..9).all(|number| lists.get(&[number; 32]).is_some()));
        lists.put([9; 32], &long);
        assert!(lists.get(&[0; 32]).is_none() && lists.get(&[9; 32]).is_some());
    }
}
