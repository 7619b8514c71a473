//! Public names and their policies.

use std::sync::Arc;

use super::browsers;
use super::json;
use super::reader::{FieldReader, is_name, non_null};
use super::upstreams::{self, ResolvedUpstreams};
use crate::config::file::{self, Field};
use crate::config::yaml::{At, Named, Value, suggest};
use crate::config::{BodyMode, Chatflow, Cors, Plan, UpstreamKind, is_reserved, override_rules};
use crate::uuid::is_uuid;

/// Stands for every UUID that has no entry of its own.
const WILDCARD: &str = "*";
const MAX_CHARS: u64 = 100_000_000;

/// The named chatflows in the order of the file, and the wildcard.
pub(super) fn chatflows(
    reader: &mut FieldReader<'_>,
    file: Named<file::ChatflowSection>,
    upstreams: &ResolvedUpstreams,
    plans: &[Plan],
    cors: &Cors,
) -> (Vec<Arc<Chatflow>>, Option<Arc<Chatflow>>) {
    if file.0.is_empty() {
        reader.missing(None, "chatflows", "missing: expected at least one chatflow, or \"*\" for every UUID");
    }
    let mut named = Vec::new();
    let mut places = Vec::new();
    let mut wildcard = None;
    for (name, chatflow) in file.0 {
        let is_wildcard = name.value == WILDCARD;
        let chatflow = Arc::new(self::chatflow(reader, &name, chatflow, upstreams, plans, cors));
        if is_wildcard {
            wildcard = Some(chatflow);
        } else {
            named.push(chatflow);
            places.push(name.at());
        }
    }
    refuse_ambiguous(reader, &named, &places);
    (named, wildcard)
}

fn chatflow(
    reader: &mut FieldReader<'_>,
    name: &At<String>,
    file: file::ChatflowSection,
    upstreams: &ResolvedUpstreams,
    plans: &[Plan],
    cors: &Cors,
) -> Chatflow {
    let is_wildcard = name.value == WILDCARD;
    if !is_wildcard && !is_name(&name.value) {
        reader.refuse(name, "expected a name of at most 128 letters, digits and . _ ~ -, or \"*\" for every UUID");
    }
    let defaults = Chatflow::named(&name.value);
    let body = reader
        .choice(&file.body, &[("checked", BodyMode::Checked), ("passthrough", BodyMode::Passthrough)])
        .unwrap_or(defaults.body);
    let browsers = browsers::browsers(reader, name, &file, body, cors);
    let upstream = upstream(reader, name, &file.upstream, upstreams);
    let is_local =
        upstreams.resolved.get(upstream).is_some_and(|upstream| matches!(upstream.kind, UpstreamKind::Engine(_)));
    if is_local && is_wildcard {
        reader.refuse(name, "the engine answers flows by their files: give each chatflow an entry of its own");
    }
    if let (true, BodyMode::Passthrough, Some(node)) = (is_local, body, &file.body.0) {
        reader.refuse(node, "the engine reads what it answers: `passthrough` is for what goes on to Flowise");
    }
    let id = id(reader, name, non_null(file.id), is_wildcard, is_local);
    let by_id = by_id(reader, &file.by_id, id.as_deref(), is_wildcard);
    let api_key = upstreams::api_key(reader, non_null(file.api_key), &non_null(file.api_key_file));
    let plan = plan(reader, file.plan, plans).unwrap_or(defaults.plan);
    let override_config = override_config(reader, &file.override_config).unwrap_or(defaults.override_config);
    let max_question_chars = chars(reader, &file.max_question_chars).unwrap_or(defaults.max_question_chars);
    let max_word_chars = chars(reader, &file.max_word_chars).unwrap_or(defaults.max_word_chars);
    let vars = json::map(reader, &file.vars);
    let force_override = json::map(reader, &file.force_override);
    if let (Some(session), Some(node)) = (force_override.get("sessionId"), &file.force_override.0)
        && session.as_str().is_none_or(str::is_empty)
    {
        reader.refuse(node, "the session is a text that is not empty");
    }
    if body == BodyMode::Passthrough {
        refuse_forced(reader, &file.vars);
        refuse_forced(reader, &file.force_override);
    }
    Chatflow {
        name: defaults.name,
        upstream,
        id,
        by_id,
        api_key,
        access: browsers.access,
        allowed_origins: browsers.allowed_origins,
        body,
        response: browsers.response,
        events: browsers.events,
        isolate_sessions: browsers.isolate_sessions,
        plan,
        override_config,
        max_question_chars,
        max_word_chars,
        vars,
        force_override,
    }
}

/// What a body that is forwarded untouched cannot carry must not look as if it were in force.
fn refuse_forced(reader: &mut FieldReader<'_>, field: &Field) {
    if let Some(node) = &field.0
        && matches!(&node.value, Value::Map(entries) if !entries.is_empty())
    {
        reader.refuse(node, "has no effect with `body: passthrough`, which forwards the body untouched");
    }
}

/// Index of the upstream; of no meaning when it was refused.
fn upstream(reader: &mut FieldReader<'_>, name: &At<String>, field: &Field, upstreams: &ResolvedUpstreams) -> usize {
    let Some(node) = &field.0 else {
        let field = format!("{}.upstream", name.field);
        reader.missing(Some(name.at()), &field, "missing: expected the name of an upstream");
        return 0;
    };
    let Some(wanted) = reader.string(node) else { return 0 };
    if let Some(index) = upstreams.resolved.iter().position(|upstream| *upstream.name == *wanted) {
        return index;
    }
    if !upstreams.written.contains(&wanted) {
        let known = suggest(&wanted, upstreams.written.iter().map(String::as_str));
        reader.refuse(node, format_args!("no upstream has this name, {known}"));
    }
    0
}

/// Index of the plan of callers without a key.
fn plan(reader: &mut FieldReader<'_>, field: Field, plans: &[Plan]) -> Option<usize> {
    let node = non_null(field).0?;
    let wanted = reader.string(&node)?;
    let index = plans.iter().position(|plan| *plan.name == *wanted);
    if index.is_none() {
        let known = suggest(&wanted, plans.iter().map(|plan| &*plan.name));
        reader.refuse(&node, format_args!("no plan has this name, {known}"));
    }
    index
}

/// Flowise's id, lower case: what is written, or else the name.
fn id(
    reader: &mut FieldReader<'_>,
    name: &At<String>,
    field: Field,
    is_wildcard: bool,
    is_local: bool,
) -> Option<Arc<str>> {
    let Some(node) = field.0 else {
        if is_wildcard {
            return None;
        }
        if is_uuid(&name.value) {
            return Some(Arc::from(name.value.to_ascii_lowercase()));
        }
        // The engine knows flows by their files' names.
        if is_local {
            return None;
        }
        let field = format!("{}.id", name.field);
        reader.missing(
            Some(name.at()),
            &field,
            "missing: expected Flowise's id of this chatflow, unless its name is a UUID",
        );
        return None;
    };
    if is_wildcard {
        reader.refuse(&node, "the chatflow \"*\" has no id: the id is the name that was asked for");
        return None;
    }
    let id = reader.string(&node)?;
    if is_uuid(&id) {
        return Some(Arc::from(id.to_ascii_lowercase()));
    }
    reader.refuse(&node, "expected a UUID such as 9d2b4ae3-1f5e-4c00-9000-000000000000");
    None
}

/// Whether clients may call it by its id.
fn by_id(reader: &mut FieldReader<'_>, field: &Field, id: Option<&str>, is_wildcard: bool) -> bool {
    let by_id = reader.boolean(field).unwrap_or(false);
    if let (true, Some(node)) = (by_id, &field.0) {
        if is_wildcard {
            reader.refuse(node, "the chatflow \"*\" is called by ids as it is");
        } else if id.is_none() {
            reader.refuse(node, "needs the chatflow's `id`");
        }
    }
    by_id
}

/// Of two that are called by one id, or by the other's name, nobody could say which is meant.
fn refuse_ambiguous(reader: &mut FieldReader<'_>, named: &[Arc<Chatflow>], places: &[(u32, u32)]) {
    for (index, chatflow) in named.iter().enumerate().filter(|(_, chatflow)| chatflow.by_id) {
        let id = chatflow.id.as_deref();
        let is_called_so = |(other, known): (usize, &Arc<Chatflow>)| {
            other != index && (Some(&*known.name) == id || (other < index && known.by_id && known.id.as_deref() == id))
        };
        if let (Some(id), true) = (id, named.iter().enumerate().any(is_called_so)) {
            let field = format!("chatflows.{}.by_id", chatflow.name);
            reader.refuse_at(places.get(index).copied(), &field, format!("another chatflow is called {id} already"));
        }
    }
}

/// Paths that a client may set; only `sessionId` if nothing is written.
fn override_config(reader: &mut FieldReader<'_>, field: &Field) -> Option<Vec<Vec<String>>> {
    field.0.as_ref()?;
    let mut paths = Vec::new();
    for node in reader.list(field).unwrap_or_default() {
        let Some(text) = reader.string(node) else { continue };
        let path: Vec<String> = text.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            reader.refuse(node, "expected a path such as sessionId or vars.userId");
        } else if path.iter().any(|segment| is_reserved(segment)) {
            reader.refuse(node, "this name cannot be used");
        } else if let Some(protected) = override_rules::protected(&path) {
            let what = protected.what();
            reader.refuse(node, format_args!("no client may set this: it holds {what}; `force_override` can set it"));
        } else if !paths.contains(&path) {
            paths.push(path);
        }
    }
    Some(paths)
}

fn chars(reader: &mut FieldReader<'_>, field: &Field) -> Option<usize> {
    reader.number(field, 1..=MAX_CHARS).and_then(|count| usize::try_from(count).ok())
}
