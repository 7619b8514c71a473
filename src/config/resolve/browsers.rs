//! What browsers may do: origins, access without a key, and what of an answer they see.

use super::reader::{FieldReader, non_null};
use crate::config::file::{self, Field};
use crate::config::units::parse_duration;
use crate::config::yaml::{At, Value, suggest};
use crate::config::{Access, BodyMode, Cors, Events, FLOWISE_EVENTS, Origins, ResponseShape, Secret};

pub(super) fn cors(reader: &mut FieldReader<'_>, file: &file::CorsSection) -> Cors {
    let allowed_origins = origins(reader, &file.allowed_origins).unwrap_or_default();
    let allow_credentials = reader.boolean(&file.allow_credentials).unwrap_or(false);
    if let (true, true, Some(node)) = (allow_credentials, allowed_origins.is_any(), &file.allow_credentials.0) {
        reader.refuse(node, "with the origin \"*\" every page could call with its visitor's credentials");
    }
    let max_age = reader.parsed(&file.max_age, parse_duration).unwrap_or(Cors::default().max_age);
    let allowed_headers = allowed_headers(reader, &file.allowed_headers);
    Cors { allowed_origins, allow_credentials, max_age, allowed_headers }
}

fn allowed_headers(reader: &mut FieldReader<'_>, field: &Field) -> String {
    let mut names: Vec<String> = Vec::new();
    for node in reader.list(field).unwrap_or_default() {
        let Some(name) = reader.string(node) else { continue };
        if name == "*" {
            reader
                .refuse(node, "\"*\" is no name: browsers do not let it stand for Authorization, so name each header");
        } else if name.len() > 128 || !is_token(&name) {
            reader.refuse(node, "expected the name of a header, such as x-app-version");
        } else {
            names.push(name.to_ascii_lowercase());
        }
    }
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

/// RFC 9110, section 5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// `None`: nothing is written.
pub(super) fn origins(reader: &mut FieldReader<'_>, field: &Field) -> Option<Origins> {
    let mut origins = Origins::default();
    for node in reader.list(field)? {
        if let Some(text) = reader.string(node)
            && let Err(error) = origins.add(&text)
        {
            reader.refuse(node, error);
        }
    }
    Some(origins)
}

/// A chatflow's policy towards browsers.
pub(super) struct Browsers {
    pub(super) access: Access,
    pub(super) allowed_origins: Origins,
    pub(super) response: ResponseShape,
    pub(super) events: Events,
    pub(super) isolate_sessions: bool,
}

pub(super) fn browsers(
    reader: &mut FieldReader<'_>,
    name: &At<String>,
    file: &file::ChatflowSection,
    body: BodyMode,
    cors: &Cors,
) -> Browsers {
    let access =
        reader.choice(&file.access, &[("key", Access::Key), ("public", Access::Public)]).unwrap_or(Access::Key);
    let allowed_origins = origins(reader, &file.allowed_origins).unwrap_or_else(|| cors.allowed_origins.clone());
    if let (true, true, Some(node)) = (cors.allow_credentials, allowed_origins.is_any(), &file.allowed_origins.0) {
        reader.refuse(
            node,
            "with cors.allow_credentials, \"*\" would let every page call with its visitor's credentials",
        );
    }
    let response = reader.choice(&file.response, &ResponseShape::NAMED).unwrap_or(ResponseShape::Flowise);
    let events = events(reader, &file.events, access);
    let isolate = reader.boolean(&file.isolate_sessions);
    if body == BodyMode::Passthrough {
        let unread = [
            (access == Access::Public, &file.access, "a public chatflow needs `body: checked`"),
            (response != ResponseShape::Flowise, &file.response, "needs `body: checked`"),
            (
                isolate == Some(true),
                &file.isolate_sessions,
                "needs `body: checked`: ids in an unread body stay as they are",
            ),
            (file.events.0.is_some() && events != Events::All, &file.events, "needs `body: checked`"),
        ];
        for (is_wrong, field, message) in unread {
            if let (true, Some(node)) = (is_wrong, &field.0) {
                reader.refuse(node, message);
            }
        }
    }
    if access == Access::Public
        && let Some(node) = &file.access.0
    {
        if name.value == "*" {
            reader.refuse(node, "\"*\" would open every chatflow there is: name those that are public");
        }
        if allowed_origins.is_empty() {
            let message =
                "a public chatflow needs allowed_origins, its own or those of `cors`: the pages that may call it";
            reader.refuse(node, message);
        }
    }
    Browsers {
        access,
        allowed_origins,
        response,
        events,
        isolate_sessions: body == BodyMode::Checked && isolate.unwrap_or(true),
    }
}

/// All; what the widget shows; or those listed, with `error` and `end`, without which a client would wait for ever.
fn events(reader: &mut FieldReader<'_>, field: &Field, access: Access) -> Events {
    let Some(node) = &field.0 else {
        return if access == Access::Public { Events::Widget } else { Events::All };
    };
    if !matches!(node.value, Value::List(_)) {
        let read = reader.parsed_node(node, |text| match text {
            "all" => Ok(Events::All),
            "widget" => Ok(Events::Widget),
            _ => Err("expected all, widget or a list of events"),
        });
        return read.unwrap_or(Events::All);
    }
    let mut listed = Vec::new();
    for item in reader.list(field).unwrap_or_default() {
        let Some(text) = reader.string(item) else { continue };
        if let Some((event, _)) = FLOWISE_EVENTS.iter().find(|(event, _)| *event == text) {
            listed.push(*event);
        } else {
            let known = suggest(&text, FLOWISE_EVENTS.iter().map(|(event, _)| *event));
            reader.refuse(item, format_args!("Flowise has no event of this name, {known}"));
        }
    }
    for always in ["error", "end"] {
        if !listed.contains(&always) {
            listed.push(always);
        }
    }
    Events::Only(listed.into_iter().map(Box::from).collect())
}

/// `session_secret`, at least 16 characters, from the file itself or from a file of its own.
pub(super) fn session_secret(reader: &mut FieldReader<'_>, field: Field, file: Field) -> Option<Secret> {
    let (field, file) = (non_null(field), non_null(file));
    let checked = |text: &str| {
        let is_long = text.chars().count() >= 16;
        if is_long { Ok(Secret::new(text.to_owned())) } else { Err("expected at least 16 characters") }
    };
    match (field.0, &file.0) {
        (Some(_), Some(node)) => {
            reader.refuse(node, "`session_secret` and `session_secret_file` exclude each other");
            None
        }
        (Some(node), None) => {
            let secret = checked(&reader.string(&node)?);
            secret.map_err(|message| reader.refuse(&node, message)).ok()
        }
        (None, _) => {
            let read = reader.read_file(&file, |content| {
                let text = std::str::from_utf8(content).map_err(|_| "the file is not valid UTF-8")?;
                checked(text.trim_end_matches(['\r', '\n']))
            });
            read.map(|(_, secret)| secret)
        }
    }
}
