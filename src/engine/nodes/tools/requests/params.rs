//! What a model may fill in, as an author describes it.

use serde_json::{Map, Value};

use super::object;
use crate::engine::compile::inputs::Inputs;
use crate::engine::nodes::tools::arguments::with;
use crate::engine::text::percent::{STEP, component, form, steps};
use crate::engine::text::variables::text_of;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ToolParam {
    pub(super) name: String,
    pub(super) kind: String,
    description: String,
    is_required: bool,
    /// `path` or `query`.
    place: String,
}

/// A schema in the first of these inputs that has one.
pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>, names: &[&str]) -> Vec<ToolParam> {
    let schema = object(inputs, names).unwrap_or_default();
    let param = |(name, field): (String, Value)| {
        let text = |of: &str| field.get(of).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_required = field.get("required").is_some_and(|required| required == true || required == "true");
        ToolParam { kind: text("type"), description: text("description"), place: text("in"), is_required, name }
    };
    schema.into_iter().map(param).collect()
}

/// Their JSON Schema.
pub(super) fn properties(params: &[ToolParam], shape: impl Fn(&ToolParam) -> Value) -> Value {
    let property = |param: &ToolParam| {
        let mut property = shape(param);
        if !param.description.is_empty() {
            property = with(property, "description", param.description.as_str().into());
        }
        (param.name.clone(), property)
    };
    let properties = params.iter().map(property).collect::<Map<_, _>>();
    let required: Vec<&str> =
        params.iter().filter(|param| param.is_required).map(|param| param.name.as_str()).collect();
    crate::engine::nodes::tools::arguments::object(&properties.into(), &required)
}

/// A required value that is not given.
pub(super) fn stray<'a>(params: &'a [ToolParam], given: &Map<String, Value>) -> Option<&'a str> {
    // Nothing at all is as good as everything in Flowise's schemas.
    let is_missing = |param: &&ToolParam| param.is_required && !given.contains_key(&param.name);
    params.iter().filter(|_| !given.is_empty()).find(is_missing).map(|param| param.name.as_str())
}

/// A path with the values in their places: `:name`, behind its end, or in its query. Without a description all go into
/// the query.
///
/// # Errors
/// A value would lead elsewhere in the path.
pub(super) fn path_and_query(path: String, params: &[ToolParam], given: &Map<String, Value>) -> Result<String, String> {
    let has_steps = steps(&path);
    let (mut path, mut query) = match path.split_once('?') {
        Some((path, query)) => (path.to_owned(), query.to_owned()),
        None => (path, String::new()),
    };
    let mut behind = String::new();
    for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
        let param = params.iter().find(|param| param.name == *name);
        let value = text_of(value);
        match param.map(|param| param.place.as_str()) {
            Some("path") => {
                if let Some(filled) = placed(&path, name, &component(&value)) {
                    path = filled;
                } else {
                    behind.push('/');
                    behind.push_str(&component(&value));
                }
            }
            Some("query") => add(&mut query, name, &value),
            None if params.is_empty() => add(&mut query, name, &value),
            _ => {}
        }
    }
    if !behind.is_empty() {
        path = format!("{}{behind}", path.strip_suffix('/').unwrap_or(&path));
    }
    if steps(&path) && !has_steps {
        return Err(STEP.to_owned());
    }
    Ok(if query.is_empty() { path } else { format!("{path}?{query}") })
}

fn add(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    query.push_str(&form(name));
    query.push('=');
    query.push_str(&form(value));
}

/// The path with a value for every `:name`; `None`: there is none.
fn placed(path: &str, name: &str, value: &str) -> Option<String> {
    let place = format!(":{name}");
    let mut out = String::new();
    let mut rest = path;
    let mut is_placed = false;
    while let Some((before, after)) = rest.split_once(&place) {
        out.push_str(before);
        let goes_on = after.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
        out.push_str(if goes_on { &place } else { value });
        is_placed |= !goes_on;
        rest = after;
    }
    out.push_str(rest);
    is_placed.then_some(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn param(name: &str, place: &str) -> ToolParam {
        let (name, place) = (name.to_owned(), place.to_owned());
        ToolParam { name, kind: String::new(), description: String::new(), is_required: place == "path", place }
    }

    #[test]
    fn values_go_where_the_author_says() {
        let Value::Object(given) = json!({ "id": "a/b", "limit": 5, "other": "x", "more": null }) else { panic!() };
        let params = [param("id", "path"), param("limit", "query")];
        assert_eq!(path_and_query("/items/:id".into(), &params, &given).unwrap(), "/items/a%2Fb?limit=5");
        assert_eq!(path_and_query("/items/:idle/".into(), &params, &given).unwrap(), "/items/:idle/a%2Fb?limit=5");
        assert_eq!(path_and_query("/x?a=1".into(), &[], &given).unwrap(), "/x?a=1&id=a%2Fb&limit=5&other=x");
        for path in ["/items/:id", "/items", "/items/.:id"] {
            let up = Map::from_iter([("id".to_owned(), if path.contains('.') { "." } else { ".." }.into())]);
            assert_eq!(path_and_query(path.into(), &params, &up).unwrap_err(), STEP, "{path}");
        }
        assert_eq!(stray(&params, &Map::from_iter([("limit".to_owned(), 5.into())])), Some("id"));
    }
}
