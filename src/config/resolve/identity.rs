//! Identity providers: who signs tokens for people, and what those may do.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value as Json;

use super::json;
use super::reader::{FieldReader, non_null};
use super::upstreams::ca;
use crate::config::file::{self, Field};
use crate::config::yaml::{At, Value, YamlNode, suggest};
use crate::config::{
    Chatflow, ChatflowGrant, ClaimPath, HttpUrl, IdentityProvider, IssuerKeySource, Plan, PlanGrant, is_reserved,
};
use crate::jwt::{KeySet, KeySetFault, SignatureAlgorithm};
use crate::uuid::is_uuid;

/// Each is looked at for a token whose issuer several have.
const MOST_PROVIDERS: usize = 32;
/// Bytes of an issuer, an audience or a claim's name.
const LONGEST: usize = 512;
const USUAL_ALGORITHMS: [SignatureAlgorithm; 3] =
    [SignatureAlgorithm::Rs256, SignatureAlgorithm::Es256, SignatureAlgorithm::EdDsa];
/// Names that log and metrics give to nobody in particular.
const RESERVED_NAMES: [&str; 3] = ["other", "-", "anonymous"];

/// What providers may name.
pub(super) struct Grantable<'a> {
    pub(super) plans: &'a [Plan],
    pub(super) chatflows: &'a [Arc<Chatflow>],
    pub(super) has_wildcard: bool,
}

pub(super) fn identity(
    reader: &mut FieldReader<'_>,
    file: Vec<At<file::IdentitySection>>,
    grantable: &Grantable<'_>,
) -> Vec<Arc<IdentityProvider>> {
    let mut providers: Vec<Arc<IdentityProvider>> = Vec::new();
    for At { value: section, line, column, field } in file {
        let place = At { value: (), line, column, field };
        if providers.len() == MOST_PROVIDERS {
            reader.refuse(&place, format_args!("there can be {MOST_PROVIDERS} identity providers"));
            break;
        }
        let name = section.name.0.clone();
        let provider = provider(reader, &place, section, grantable);
        if let (Some(node), true) = (name, providers.iter().any(|known| known.name == provider.name)) {
            reader.refuse(&node, "another identity provider has this name");
        }
        providers.push(Arc::new(provider));
    }
    providers
}

fn provider(
    reader: &mut FieldReader<'_>,
    place: &At<()>,
    file: file::IdentitySection,
    grantable: &Grantable<'_>,
) -> IdentityProvider {
    let name = name(reader, place, &file.name);
    let issuer = non_null(file.issuer);
    let keys = keys(reader, place, &issuer, &non_null(file.jwks_url), &non_null(file.jwks_file));
    IdentityProvider {
        name: name.into(),
        issuer: issuer.0.as_ref().and_then(|node| text(reader, node)),
        keys,
        ca: ca(reader, &non_null(file.ca_file)),
        audience: audience(reader, place, &file.audience),
        algorithms: algorithms(reader, &file.algorithms),
        chatflows: chatflows(reader, place, &file.chatflows, &non_null(file.chatflows_claim), grantable),
        plan: plan(reader, &non_null(file.plan), &non_null(file.plan_claim), grantable.plans),
        subject: claim(reader, &file.subject).unwrap_or_else(|| ClaimPath("sub".into())),
        vars: vars(reader, &file.vars),
        require: require(reader, &file.require),
    }
}

/// It stands where a key's id does, and is made as that is.
fn name(reader: &mut FieldReader<'_>, place: &At<()>, field: &Field) -> String {
    let Some(node) = &field.0 else {
        let field = format!("{}.name", place.field);
        reader.missing(Some(place.at()), &field, "missing: expected a name, which log and metrics show as the key");
        return String::new();
    };
    let name = reader.string(node).unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if !(1..=64).contains(&name.len()) || !name.bytes().all(is_plain) {
        reader.refuse(node, "expected a name of 1 to 64 characters of A-Z a-z 0-9 . _ -, as a key's id");
    } else if RESERVED_NAMES.contains(&&*name) {
        reader.refuse(node, "this name is reserved");
    }
    name
}

fn keys(
    reader: &mut FieldReader<'_>,
    place: &At<()>,
    issuer: &Field,
    jwks_url: &Field,
    jwks_file: &Field,
) -> IssuerKeySource {
    let nowhere = || IssuerKeySource::File(PathBuf::new(), Arc::default());
    match (&issuer.0, &jwks_url.0, &jwks_file.0) {
        (_, Some(_), Some(file)) => {
            reader.refuse(file, "`jwks_url` and `jwks_file` exclude each other");
            nowhere()
        }
        (_, Some(_), None) => reader.parsed(jwks_url, HttpUrl::parse).map_or_else(nowhere, IssuerKeySource::Url),
        (_, None, Some(_)) => {
            let read = reader.read_file(jwks_file, |content| KeySet::read(content).map_err(KeySetFault::told));
            read.map_or_else(nowhere, |(path, keys)| IssuerKeySource::File(path, Arc::new(keys)))
        }
        (Some(_), None, None) => reader.parsed(issuer, discovery).map_or_else(nowhere, IssuerKeySource::Discovery),
        (None, None, None) => {
            let field = format!("{}.issuer", place.field);
            let message =
                "missing: expected the issuer's URL such as https://login.example.com, or jwks_url, or jwks_file";
            reader.missing(Some(place.at()), &field, message);
            nowhere()
        }
    }
}

/// `OpenID` Connect Discovery 1.0, section 4.1: below the issuer, without a slash at its end.
fn discovery(issuer: &str) -> Result<HttpUrl, &'static str> {
    let mut url = HttpUrl::parse(issuer)?;
    if url.target.contains('?') {
        return Err("an issuer is a URL without a query");
    }
    url.target = format!("{}/.well-known/openid-configuration", url.target.trim_end_matches('/')).into();
    Ok(url)
}

fn audience(reader: &mut FieldReader<'_>, place: &At<()>, field: &Field) -> Vec<Box<str>> {
    const EXPECTED: &str =
        "expected a list of at least one audience: what the provider writes into `aud` of tokens for the gateway";
    let Some(node) = &field.0 else {
        let field = format!("{}.audience", place.field);
        reader.missing(Some(place.at()), &field, &format!("missing: {EXPECTED}"));
        return Vec::new();
    };
    let Some(items) = reader.list(field) else { return Vec::new() };
    if items.is_empty() {
        reader.refuse(node, EXPECTED);
    }
    items.iter().filter_map(|item| text(reader, item)).collect()
}

fn algorithms(reader: &mut FieldReader<'_>, field: &Field) -> Vec<SignatureAlgorithm> {
    let Some(node) = &field.0 else { return USUAL_ALGORITHMS.to_vec() };
    let Some(items) = reader.list(field) else { return Vec::new() };
    if items.is_empty() {
        reader.refuse(node, "an empty list allows nothing; leave the field out for RS256, ES256 and EdDSA");
    }
    let read = |item: &YamlNode| {
        let name = reader.string(item)?;
        let algorithm = SignatureAlgorithm::named(&name);
        if algorithm.is_none() {
            let why = match &*name {
                "none" => "a token without a signature is anybody's".to_owned(),
                _ if name.starts_with("HS") => {
                    "whoever can check such a signature can make it: only signatures by a private key are taken"
                        .to_owned()
                }
                _ => suggest(&name, SignatureAlgorithm::ALL.map(SignatureAlgorithm::name)),
            };
            reader.refuse(item, format_args!("this algorithm cannot be used: {why}"));
        }
        algorithm
    };
    items.iter().filter_map(read).collect()
}

fn chatflows(
    reader: &mut FieldReader<'_>,
    place: &At<()>,
    listed: &Field,
    from_claim: &Field,
    grantable: &Grantable<'_>,
) -> ChatflowGrant {
    if let (Some(_), Some(node)) = (&listed.0, &from_claim.0) {
        reader.refuse(node, "`chatflows` and `chatflows_claim` exclude each other");
    }
    if let Some(claim) = claim(reader, from_claim) {
        return ChatflowGrant::Claim(claim);
    }
    if from_claim.0.is_none() && listed.0.is_none() {
        let field = format!("{}.chatflows", place.field);
        let message =
            "missing: expected the chatflows that its people may call, or chatflows_claim, the claim that names them";
        reader.missing(Some(place.at()), &field, message);
    }
    let items = reader.list(listed).unwrap_or_default();
    if let (true, Some(node)) = (items.is_empty(), &listed.0) {
        reader.missing(Some(node.at()), &node.field, "an empty list allows nothing");
    }
    ChatflowGrant::Listed(items.iter().filter_map(|item| chatflow(reader, item, grantable)).collect())
}

fn chatflow(reader: &mut FieldReader<'_>, node: &YamlNode, grantable: &Grantable<'_>) -> Option<Arc<str>> {
    let name = reader.string(node)?;
    if let Some(known) = grantable.chatflows.iter().find(|chatflow| *chatflow.name == *name) {
        return Some(Arc::clone(&known.name));
    }
    if grantable.has_wildcard && is_uuid(&name) {
        return Some(name.to_ascii_lowercase().into());
    }
    if name == "*" {
        reader.refuse(node, "`*` is no name here: list the chatflows");
    } else {
        let known = suggest(&name, grantable.chatflows.iter().map(|chatflow| &*chatflow.name));
        reader.refuse(node, format_args!("no chatflow has this name, {known}"));
    }
    None
}

fn plan(reader: &mut FieldReader<'_>, fixed: &Field, from_claim: &Field, plans: &[Plan]) -> PlanGrant {
    let otherwise = fixed.0.as_ref().and_then(|node| {
        let wanted = reader.string(node)?;
        let index = plans.iter().position(|plan| *plan.name == *wanted);
        if index.is_none() {
            let known = suggest(&wanted, plans.iter().map(|plan| &*plan.name));
            reader.refuse(node, format_args!("no plan has this name, {known}"));
        }
        index
    });
    match claim(reader, from_claim) {
        Some(claim) => PlanGrant::Claim { claim, otherwise },
        // As of a key that names none.
        None => PlanGrant::Fixed(
            otherwise.or_else(|| plans.iter().position(|plan| &*plan.name == "default")).unwrap_or_default(),
        ),
    }
}

fn vars(reader: &mut FieldReader<'_>, field: &Field) -> Vec<(Box<str>, ClaimPath)> {
    let mut vars = Vec::new();
    for (name, node) in entries(reader, field, "expected a map from the variable's name to the claim's") {
        if is_reserved(&name.value) {
            reader.refuse_at(Some(name.at()), &node.field, "this name cannot be used");
        }
        let Some(claim) = text(reader, node) else { continue };
        vars.push((name.value.as_str().into(), ClaimPath(claim)));
    }
    vars
}

fn require(reader: &mut FieldReader<'_>, field: &Field) -> Vec<(ClaimPath, Vec<Json>)> {
    const EXPECTED: &str = "expected a list of at least one value: strings, numbers, or true and false";
    let mut required = Vec::new();
    for (name, node) in entries(reader, field, "expected a map from the claim's name to a list of values") {
        let Value::List(items) = &node.value else {
            reader.refuse(node, format_args!("{EXPECTED}; found {}", node.value.kind()));
            continue;
        };
        if items.is_empty() {
            reader.refuse(node, EXPECTED);
        }
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            match json::scalar(reader, item) {
                Some(value) => values.push(value),
                None => reader.refuse(item, EXPECTED),
            }
        }
        required.push((ClaimPath(name.value.as_str().into()), values));
    }
    required
}

/// The entries of a map; an absent field has none.
fn entries<'n>(reader: &mut FieldReader<'_>, field: &'n Field, expected: &str) -> &'n [(At<String>, YamlNode)] {
    match &field.0 {
        None => &[],
        Some(At { value: Value::Map(entries), .. }) => entries,
        Some(node) => {
            reader.refuse(node, format_args!("{expected}, found {}", node.value.kind()));
            &[]
        }
    }
}

fn claim(reader: &mut FieldReader<'_>, field: &Field) -> Option<ClaimPath> {
    text(reader, field.0.as_ref()?).map(ClaimPath)
}

fn text(reader: &mut FieldReader<'_>, node: &YamlNode) -> Option<Box<str>> {
    let text = reader.string(node)?;
    if !(1..=LONGEST).contains(&text.len()) || text.chars().any(char::is_control) {
        reader.refuse(node, format_args!("expected a text of 1 to {LONGEST} characters"));
        return None;
    }
    Some(text.into())
}
