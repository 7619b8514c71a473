//! Which field of the configuration has decided that a request is refused, where it stands, and what helps.

use super::context::{Context, ExceededPlan, TokenRefused};
use crate::config::ChatflowGrant;
use crate::jwt::TokenFault;
use crate::keys::Key;
use crate::wire::refusal::{Code, Refusal, Rule};

/// See the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decided {
    /// Dotted path; `keys.ID` is an entry of the keys file.
    pub(super) setting: Option<String>,
    /// File and line; `None`: it is a default, and stands nowhere.
    pub(super) place: Option<String>,
}

/// `None`: no setting would change it.
pub(super) fn decided(context: &Context, refusal: &Refusal) -> Option<Decided> {
    if let Some(limit) = refusal.limit().filter(|limit| *limit != "auth_failures") {
        return by_plan(context, limit);
    }
    if matches!(refusal, Refusal::TooManyFailures { .. }) {
        return Some(by_field(context, &["auth_failures"]));
    }
    if let Some(refused) = context.token_refused.get() {
        return Some(by_provider(context, refused));
    }
    if refusal.auth_failure().is_some() {
        let ended = context.ended_key.get();
        return match refusal {
            Refusal::MissingKey => by_chatflow(context, "access"),
            _ => ended.and_then(|key| by_key(context, key)),
        };
    }
    let Some(rule) = refusal.rule() else { return by_upstream(context, "") };
    match rule {
        Rule::ChatflowScope | Rule::UpsertScope if context.person().is_some() => {
            let identity = context.person().map(|person| person.identity)?;
            let provider = context.snapshot.config.identity.get(identity as usize)?;
            let field = match provider.chatflows {
                ChatflowGrant::Listed(_) => "chatflows",
                ChatflowGrant::Claim(_) => "chatflows_claim",
            };
            Some(by_identity(context, identity, field))
        }
        Rule::ChatflowScope | Rule::AddressScope | Rule::UpsertScope => by_key(context, context.key.get()?),
        Rule::Origin => match context.key.get() {
            // Whoever made the token said from where it counts.
            Some(key) => by_key(context, key),
            None => by_chatflow(context, "allowed_origins"),
        },
        Rule::UnknownRoute if matches!(refusal, Refusal::UnknownChatflow) => Some(by_field(context, &["chatflows"])),
        Rule::HeadSize => Some(by_field(context, &["server.max_header_bytes", "server"])),
        Rule::BodyTime => Some(by_field(context, &["server.body_time", "server"])),
        Rule::BodyRate => Some(by_field(context, &["server.min_body_rate", "server"])),
        Rule::RequestTimeout => Some(by_field(context, &["server.body_timeout", "server"])),
        Rule::BodySize => {
            let setting = context.body_limit.get().setting?;
            Some(by_field(context, &[setting, "server"]))
        }
        Rule::QuestionLength => by_chatflow(context, "max_question_chars"),
        Rule::WordLength => by_chatflow(context, "max_word_chars"),
        Rule::ExtAuthChatflow | Rule::ExtAuthRequest | Rule::ExtAuthRoute => {
            Some(by_field(context, &["server.ext_auth", "server"]))
        }
        Rule::ForcedVars if context.original.is_some() => Some(by_field(context, &["server.ext_auth", "server"])),
        Rule::ForcedVars => by_chatflow(context, "body"),
        Rule::OverrideConfig | Rule::OverrideType => by_chatflow(context, "override_config"),
        Rule::EngineBusy => by_upstream(context, ".engine.threads"),
        Rule::StateUnavailable => Some(by_field(context, &["state.valkey.on_loss", "state.valkey", "state"])),
        _ => None,
    }
}

/// What lets a request pass that step; `None`: nothing that is written.
pub(super) fn lets_pass(context: &Context, step: &str) -> Option<Decided> {
    match step {
        "route" => by_entry(context),
        "caller" => match context.person() {
            Some(person) => Some(by_identity(context, person.identity, "issuer")),
            None => context.key.get().and_then(|key| by_key(context, key)),
        },
        "authorize" => by_chatflow(context, "access"),
        "guard" => context.body_limit.get().setting.map(|setting| by_field(context, &[setting, "server"])),
        "body" => by_chatflow(context, "body"),
        _ => None,
    }
}

/// Whose list says whether a page of that origin may read: the key's own, the chatflow's, or that of a publishable key.
pub(super) fn by_pages(context: &Context, origin: &str) -> Option<Decided> {
    let keys = &context.snapshot.keys;
    let lists = |index: &u32| keys.key(*index as usize).is_some_and(|key| key.allowed_origins().is_some());
    if let Some(own) = context.key.get().filter(lists) {
        return by_key(context, own);
    }
    let names = |key: &Key| key.allowed_origins().is_some_and(|origins| origins.allows(origin));
    let is_the_chatflows = context.policy()?.allowed_origins.allows(origin);
    let of_a_key = (0..).map_while(|index| Some((index, keys.key(index as usize)?))).find(|(_, key)| names(key));
    match of_a_key {
        Some((index, _)) if !is_the_chatflows => by_key(context, index),
        _ => by_chatflow(context, "allowed_origins"),
    }
}

/// The first of these fields is meant; its line, or that of the first that is written.
fn by_field(context: &Context, fields: &[&str]) -> Decided {
    let config = &context.snapshot.config;
    Decided {
        setting: fields.first().map(|field| (*field).to_owned()),
        place: fields.iter().find_map(|field| config.place(field)),
    }
}

fn by_entry(context: &Context) -> Option<Decided> {
    Some(by_field(context, &[&format!("chatflows.{}", context.policy()?.name)]))
}

pub(super) fn by_chatflow(context: &Context, field: &str) -> Option<Decided> {
    let chatflow = format!("chatflows.{}", context.policy()?.name);
    let whole = format!("{chatflow}.{field}");
    let shared = format!("cors.{field}");
    Some(by_field(context, &[&whole, &shared, &chatflow]))
}

fn by_upstream(context: &Context, field: &str) -> Option<Decided> {
    let upstream = format!("upstreams.{}", context.upstream_label()?);
    Some(by_field(context, &[&format!("{upstream}{field}"), &upstream]))
}

fn by_provider(context: &Context, TokenRefused { identity, why }: &TokenRefused) -> Decided {
    let Some(identity) = *identity else { return by_field(context, &["identity"]) };
    let field = match why.fault {
        TokenFault::Algorithm => "algorithms",
        TokenFault::Audience => "audience",
        TokenFault::Subject => "subject",
        TokenFault::Required => "require",
        TokenFault::Plan => "plan_claim",
        TokenFault::Chatflows => "chatflows_claim",
        TokenFault::Variables => "vars",
        _ => "issuer",
    };
    by_identity(context, identity, field)
}

fn by_identity(context: &Context, identity: u32, field: &str) -> Decided {
    let provider = format!("identity[{identity}]");
    by_field(context, &[&format!("{provider}.{field}"), &provider, "identity"])
}

pub(super) fn by_key(context: &Context, key: u32) -> Option<Decided> {
    let (keys, index) = (&context.snapshot.keys, key as usize);
    let file = context.snapshot.config.keys_file.display();
    Some(Decided {
        setting: Some(format!("keys.{}", keys.key(index)?.id)),
        place: keys.line(index).map(|line| format!("{file}:{line}")),
    })
}

fn by_plan(context: &Context, limit: &str) -> Option<Decided> {
    let plan = format!("plans.{}", context.exceeded_plan()?);
    let decided = by_field(context, &[&format!("{plan}.{limit}"), &plan]);
    if decided.place.is_some() {
        return Some(decided);
    }
    // A plan that nobody has written: whoever was given it can be told.
    let place = match context.exceeded.get()? {
        ExceededPlan::Visitors => by_chatflow(context, "plan")?.place,
        ExceededPlan::Key => by_key(context, context.key.get()?)?.place,
    };
    Some(Decided { place, ..decided })
}

/// What whoever runs the gateway can do about it.
pub(crate) fn helps(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::MissingKey => {
            "The client sends no key: X-API-KEY or Authorization: Bearer. For a page without one set `access: public` \
             and list its origin."
        }
        Refusal::InvalidKey(_) => {
            "The key is not in the keys file, has ended, is disabled or was sent wrongly; `reason` says which. \
             `flowgate keys list` shows what there is, `flowgate keys create` makes another."
        }
        Refusal::InvalidToken { .. } => {
            "`reason` says what is wrong with the token: compare it with its provider's entry under `identity`."
        }
        Refusal::IdentityUnavailable => {
            "The provider's keys could not be read yet: `flowgate check --online` says why."
        }
        Refusal::TooManyFailures { .. } => {
            "Somebody at this address sends wrong keys, one after another: see auth_failures."
        }
        Refusal::NoOrigin => {
            "Neither a key nor an Origin came: a server must send a key; a page's request loses its Origin only on the way."
        }
        Refusal::UnknownChatflow => {
            "No chatflow has this name: add it under `chatflows`, or let the client use another."
        }
        Refusal::NearRoute(_) => "The client's base URL is wrong: the message names the right path.",
        Refusal::Flow { .. } => {
            "The flow itself failed: run it in Flowise, or look at the engine's warning with this id."
        }
        refusal => by_rule(refusal),
    }
}

fn by_rule(refusal: &Refusal) -> &'static str {
    let Some(rule) = refusal.rule() else { return by_code(refusal.code()) };
    match rule {
        Rule::ChatflowScope => {
            "The `chatflows` of the key, or of the identity provider, do not have this one: add it there, or use another key."
        }
        Rule::AddressScope => {
            "The key's `allowed_ips` do not have this address; behind a proxy see server.trusted_proxies."
        }
        Rule::UpsertScope => "Give the key `upsert: true`, if it may write documents.",
        Rule::Origin => {
            "List the page's origin in the chatflow's `allowed_origins` (or the key's), letter for letter; a token counts \
             only from the origin that it was made for."
        }
        Rule::UnknownRoute => {
            "No app needs this path: a scanner, a wrong base URL, or a chatflow that is not configured."
        }
        Rule::Method => "The client uses the wrong method: the answer's `Allow` has the right ones.",
        Rule::MediaType => "The client must send Content-Type: application/json, or a form where files are taken.",
        Rule::BodySize | Rule::HeadSize => "Send less, or raise the setting.",
        Rule::RequestTimeout | Rule::BodyTime | Rule::BodyRate | Rule::BodyBroken => {
            "The body did not come, or not in time: look at the client's network and at proxies in front."
        }
        Rule::ChatBusy => "One answer at a time in a chat: the client must wait for the stream before, or abort it.",
        Rule::EngineBusy => {
            "More runs than the engine takes: raise `threads`, or let fewer come (plans, `concurrent`)."
        }
        Rule::StateUnavailable => {
            "The store is lost: look at state.valkey and its server; `on_loss` says what goes on without."
        }
        Rule::QuestionLength | Rule::WordLength => "Raise the chatflow's bound, if such questions are honest.",
        Rule::OverrideConfig | Rule::OverrideType => {
            "List the path in the chatflow's `override_config`, if clients may set it."
        }
        Rule::OverrideAddress
        | Rule::OverrideAnalytics
        | Rule::OverrideCode
        | Rule::OverrideCredentials
        | Rule::OverrideFile
        | Rule::OverrideHistory
        | Rule::OverrideTemplate
        | Rule::OverrideTools => "No client may set this; `force_override` of the chatflow can.",
        Rule::ExtAuthChatflow => {
            "Only the gateway in the way can keep what this chatflow promises: let the proxy send its calls to the gateway \
             itself."
        }
        Rule::ExtAuthRequest => {
            "The proxy must say which request it asks about, in its own way alone, and take out what clients say in other \
             proxies' names."
        }
        Rule::ExtAuthRoute => {
            "Let the proxy send this path to the gateway itself, and ask about no others than it forwards."
        }
        Rule::ForcedVars => "Use `body: checked` and send the call through the gateway, or a key without `vars`.",
        Rule::Host | Rule::Framing | Rule::Malformed | Rule::AmbiguousOrigin => {
            "The request could be read in two ways: look at the client, and at proxies in front that rewrite it."
        }
        Rule::AmbiguousCredentials => {
            "Two different keys came in one request: a proxy or the client adds one too many."
        }
        Rule::UploadByUrl | Rule::UploadKind | Rule::Multipart | Rule::FileName | Rule::FileReference => {
            "The client must send the file itself, of a kind that is taken; the message says what is wrong."
        }
        _ => "The client's request is wrong: the message says where.",
    }
}

fn by_code(code: Code) -> &'static str {
    match code {
        Code::RateLimited => "Let the client slow down (Retry-After), or raise the plan's `requests` or `burst`.",
        Code::TooManyConcurrent => "Raise the plan's `concurrent`, or let more wait: `queue` and `wait`.",
        Code::QuotaExceeded | Code::TokenQuotaExceeded => {
            "Used up until the next period: raise it, or give another plan."
        }
        Code::UpstreamUnavailable => "Flowise takes no connections: is it running, and is its URL right?",
        Code::UpstreamTimeout => {
            "Flowise did not begin to answer in time: look at the flow, or raise response_timeout."
        }
        _ => "Look at Flowise, and at the gateway's warning with this request's id.",
    }
}
