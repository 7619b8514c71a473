//! `${NAME}` and `${NAME:-default}` inside string values, replaced from the environment.
//!
//! Done after the YAML was parsed, so that a variable's content can neither break nor extend the document, and only
//! once, so that it is never read for further names. `$${` stands for a literal `${`; any other `$` stays as it is.
//! Errors name the variable and never its content.

use thiserror::Error;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum ExpandError {
    #[error("the environment variable {0} is not set; `${{{0}:-}}` would stand for nothing")]
    Unset(String),
    #[error("`${{` without `}}`; write `$${{` for a literal `${{`")]
    Unclosed,
    #[error(
        "expected `${{NAME}}` or `${{NAME:-default}}`, a name being letters, digits and `_`; write `$${{` for a literal `${{`"
    )]
    Name,
    #[error("a default cannot contain `${{`")]
    Nested,
}

/// Where variables come from: the process's environment, or a table in a test.
pub(super) type EnvLookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces every variable of the text. As in a shell, the default of `${NAME:-default}` also stands for an empty
/// variable.
pub(super) fn expand(text: &str, environment: EnvLookup<'_>) -> Result<String, ExpandError> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        expanded.push_str(before);
        let (inside, after) = after.split_once('}').ok_or(ExpandError::Unclosed)?;
        expanded.push_str(&variable(inside, environment)?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Whether a text asks for expansion at all.
pub(super) fn has_variable(text: &str) -> bool {
    text.contains("${")
}

fn variable(inside: &str, environment: EnvLookup<'_>) -> Result<String, ExpandError> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if !is_name(name) {
        return Err(ExpandError::Name);
    }
    match (environment(name), default) {
        (_, Some(default)) if default.contains("${") => Err(ExpandError::Nested),
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(ExpandError::Unset(name.to_owned())),
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests;
