//! What is known of a request: opened by the outermost layer, filled inwards, read by log and metrics at the end.

mod authorized;

use std::cell::{Cell, OnceCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Version};

use super::ext_auth::original::Original;
use super::routes::{Endpoint, PathTail, Route};
use super::traces::RequestTrace;
use crate::config::{BodyMode, Chatflow, Origins, ResponseShape};
use crate::keys::{Key, KeyKind, token::Claims};
use crate::policy::{Flow, NamedChatflow, Person, PersonFault};
use crate::predict::report::{ModelReport, ReportSlot, StreamReport};
use crate::predict::session::{Namespace, Scope};
use crate::snapshot;
use crate::state::limits::{Delay, Permit, Visitors};
use crate::telemetry::traces::TraceScope;
use crate::upstream::outgoing::BodyBounds;
use crate::wire::client_body::ClientBody;
use crate::wire::pace::PaceLimits;
use crate::wire::refusal::{BodyLimit, Refusal};

pub(crate) use authorized::{AuthorizedCall, authorize};

/// Bytes of a path that are logged.
const LONGEST_PATH: usize = 256;

/// A request as the connection hands it in.
pub(crate) struct Arrival {
    pub(crate) request: http::Request<ClientBody>,
    pub(crate) peer: SocketAddr,
    /// The peer's address as text, made once a connection.
    pub(crate) peer_text: HeaderValue,
    pub(crate) tls: bool,
    pub(crate) listener: ListenerKind,
}

/// Which kind of listener a request came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListenerKind {
    Public,
    /// A proxy asks whether a request may pass.
    ExtAuth,
}

/// A request on its way through the layers; further in than `authorize`, with what that says of it.
pub(crate) struct Call<A = ()> {
    /// Boxed: every layer hands it on.
    pub(crate) head: Box<Parts>,
    pub(crate) body: ClientBody,
    pub(crate) context: Rc<Context>,
    pub(crate) authorization: A,
}

/// Whether a call may be answered. What was refused by its query or its body is told once it has been charged.
pub(crate) type Authorization = Result<AuthorizedCall, Box<Refusal>>;

/// Why a name is not the call's chatflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotNamed {
    /// There is none of that name.
    Unknown,
    /// Another one was named before.
    Another,
}

/// Whose plan has refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExceededPlan {
    /// The chatflow's, for callers without a key.
    Visitors,
    Key,
}

/// Why a token of an identity provider was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenRefused {
    /// Index of the provider whose it is, as far as that can be said.
    pub(crate) identity: Option<u32>,
    pub(crate) why: PersonFault,
}

/// A request that nobody has sent, and of which nothing is counted, see [`explain`](super::explain).
pub(crate) struct Trial {
    /// The id of a key that it stands for, in place of a credential.
    pub(crate) key: Option<Box<str>>,
}

/// See the module. Every field is set by one layer, named with it.
pub(crate) struct Context {
    // Set by `request_id`.
    /// The request is only asked about.
    pub(crate) trial: Option<Box<Trial>>,
    pub(crate) snapshot: snapshot::Local,
    pub(crate) received: Instant,
    pub(crate) request_id: HeaderValue,
    pub(crate) client: IpAddr,
    /// `client` as text, for the log and `X-Forwarded-For`.
    pub(crate) client_text: HeaderValue,
    pub(crate) tls: bool,
    pub(crate) method: Method,
    pub(crate) version: Version,
    /// A proxy asks about this request, and forwards it itself.
    pub(crate) original: Option<Original>,
    /// Of the page that calls, if a page does.
    pub(crate) origin: Option<HeaderValue>,
    /// The client accepts nothing but an event stream.
    pub(crate) events_only: bool,
    // Set by `route`; `None`: the path is none, or that of a chatflow that is not there.
    pub(crate) route: Cell<Option<&'static Route>>,
    // Set by `route`, or by `authorize` where the path does not name it.
    pub(crate) chatflow: OnceCell<NamedChatflow>,
    /// What is logged of the path, where it does not follow from the route and the chatflow.
    pub(crate) path: OnceCell<Box<str>>,
    // Set by `auth`: the index of the key in the snapshot.
    pub(crate) key: Cell<Option<u32>>,
    // Set by `auth` too: the index of a key that is known, but counts no more.
    pub(crate) ended_key: Cell<Option<u32>>,
    // Set by `auth` as well, if the key came as a session token: what that says.
    pub(crate) token: OnceCell<Box<Claims>>,
    // Set by `auth`: whom an identity provider vouches for, if the request came with a token of one.
    pub(crate) person: OnceCell<Rc<Person>>,
    // Set by `auth`: why such a token does not count.
    pub(crate) token_refused: OnceCell<TokenRefused>,
    // Set by `auth`: holds the answer to a wrong key back.
    pub(crate) delay: Cell<Option<Delay>>,
    // Set by `limits`: whose plan it was that refused.
    pub(crate) exceeded: Cell<Option<ExceededPlan>>,
    // Set by `limits`: how long the request waited for a place, if it had to.
    pub(crate) waited: Cell<Option<Duration>>,
    // Set by `limits`; they free their places when the context goes, with the last byte of the answer.
    pub(crate) permits: Cell<[Option<Permit>; 2]>,
    // Set by `request_id`; `None`: there are no traces.
    pub(crate) trace: Option<Box<RequestTrace>>,
    // Set by the first who asks, at the request's end.
    pub(crate) duration: OnceCell<Duration>,
    // Set by whoever refuses.
    pub(crate) refusal: OnceCell<Refusal>,
    // Set by `dispatch`.
    pub(crate) first_byte: Cell<Option<Duration>>,
    // Set by `guard`.
    pub(crate) body_limit: Cell<BodyLimit>,
    pub(crate) stream: ReportSlot<StreamReport>,
    /// Of the models that the engine asked.
    pub(crate) models: OnceCell<Arc<ModelReport>>,
}

impl Context {
    /// How long the request has taken; the same for all who ask at its end.
    pub(crate) fn duration(&self) -> Duration {
        *self.duration.get_or_init(|| self.received.elapsed())
    }

    /// What is done for the request belongs to that span.
    pub(crate) fn trace_scope(&self) -> Option<&TraceScope> {
        self.trace.as_ref().map(|trace| trace.scope())
    }

    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        self.route.get().map(|route| route.endpoint)
    }

    /// In which the route is asked and answers, whatever its chatflow says.
    pub(crate) fn shape(&self) -> Option<ResponseShape> {
        self.route.get().and_then(|route| route.shape)
    }

    /// Whether a prediction's body goes on unread. One in a shape of its route's own is read in any case.
    pub(crate) fn passes_unread(&self) -> bool {
        self.shape().is_none() && self.policy().is_some_and(|policy| policy.body == BodyMode::Passthrough)
    }

    /// A browser asks whether its page may call. What is no route has no answer to that.
    pub(crate) fn is_preflight(&self) -> bool {
        self.method == Method::OPTIONS && self.route.get().is_some()
    }

    /// The route's label in log and metrics, and a number that no other label has.
    pub(crate) fn route_label(&self) -> (&'static str, u8) {
        if self.original.is_some() {
            return ("ext-auth", u8::MAX - 2);
        }
        match self.route.get() {
            None => ("other", u8::MAX),
            Some(_) if self.is_preflight() => ("preflight", u8::MAX - 1),
            Some(route) => (route.label, route.number()),
        }
    }

    /// Notes the chatflow of that public name, unless there is none. One that was named before is the only one that may
    /// be named again.
    pub(crate) fn name_chatflow(&self, name: &str) -> Result<(), NotNamed> {
        let found = self.snapshot.chatflow(name).ok_or(NotNamed::Unknown)?;
        match self.chatflow.set(found) {
            Err(found) if self.chatflow.get() != Some(&found) => Err(NotNamed::Another),
            _ => Ok(()),
        }
    }

    fn flow(&self) -> Option<&Arc<Flow>> {
        self.snapshot.flow_of(self.chatflow.get())
    }

    /// What is configured for the chatflow.
    pub(crate) fn policy(&self) -> Option<&Chatflow> {
        self.flow().map(|flow| &*flow.config)
    }

    /// Pages that may read the chatflow's answers.
    pub(crate) fn origins(&self) -> Option<&Origins> {
        self.flow().map(|flow| &flow.origins)
    }

    /// Who is counted beside keys: on the chatflow's plan, or on that of the person who calls.
    pub(crate) fn visitors(&self) -> &Visitors {
        match self.person() {
            Some(person) => self.snapshot.visitors_on(person.plan),
            None => self.snapshot.visitors(self.flow().map(|flow| &**flow)),
        }
    }

    /// A number for the chatflow, in this snapshot.
    pub(crate) fn chatflow_index(&self) -> Option<u32> {
        self.chatflow.get().map(|chatflow| chatflow.index)
    }

    pub(crate) fn key(&self) -> Option<&Key> {
        self.key.get().and_then(|index| self.snapshot.keys.key(index as usize))
    }

    /// Somebody whom an identity provider vouches for. What is no route is nobody's.
    pub(crate) fn person(&self) -> Option<&Person> {
        self.person.get().map(|person| &**person).filter(|_| self.route.get().is_some())
    }

    /// Keeps what is logged of a path: a copy, since a slice would hold the connection's whole read buffer for as long
    /// as the answer lasts. The query, which may hold anything, is no part of it. One that [`Context::plain_path`] can
    /// tell needs none.
    pub(crate) fn note_path(&self, path: &str) {
        if self.plain_path().is_none() {
            let mut end = path.len().min(LONGEST_PATH);
            while !path.is_char_boundary(end) {
                end -= 1;
            }
            // Set once: one layer sees a path.
            let _ = self.path.set(path.get(..end).unwrap_or_default().into());
        }
    }

    /// A path that ends with the name of a configured chatflow, in two parts.
    pub(crate) fn plain_path(&self) -> Option<[&str; 2]> {
        let route = self.route.get().filter(|route| route.path.tail == PathTail::Chatflow)?;
        let policy = self.policy().filter(|policy| &*policy.name != "*")?;
        Some([route.path.literal, &policy.name])
    }

    /// The chatflow's configured name, or `-`.
    pub(crate) fn chatflow_label(&self) -> &str {
        self.policy().map_or("-", |policy| &policy.name)
    }

    /// The name that a key's `chatflows` would list: the configured one, or the UUID that the wildcard stands for.
    pub(crate) fn chatflow_name(&self) -> &str {
        self.snapshot.name_of(self.chatflow.get())
    }

    /// What the body may have.
    pub(crate) fn body_bounds(&self) -> BodyBounds {
        let server = &self.snapshot.config.server;
        let pace = PaceLimits { silence: server.body_timeout, time: server.body_time, rate: server.min_body_rate };
        BodyBounds { limit: self.body_limit.get(), pace }
    }

    /// Whose chats these are.
    pub(crate) fn scope(&self) -> Scope<'_> {
        let Some(key) = self.key() else {
            let person = self.person();
            return person.map_or(Scope::Address(self.client), |person| Scope::Person {
                identity: self.identity_name(person.identity),
                subject: &person.subject,
            });
        };
        match (self.token.get(), key.kind) {
            (Some(token), _) => Scope::Token { key: &key.id, subject: token.subject.as_deref().unwrap_or_default() },
            (None, KeyKind::Publishable) => Scope::Visitor { key: &key.id, address: self.client },
            (None, KeyKind::Secret) => Scope::Key(&key.id),
        }
    }

    /// What keeps this caller's chats apart; `None` where the chatflow does not ask for it.
    pub(crate) fn namespace(&self) -> Option<Namespace> {
        if self.policy()?.isolate_sessions { self.own_namespace() } else { None }
    }

    /// The caller's namespace for what is given out by the gateway, whether or not the chatflow keeps chats apart.
    pub(crate) fn own_namespace(&self) -> Option<Namespace> {
        let (flow, chatflow) = (self.flow()?, self.chatflow.get()?);
        Some(Namespace::new(flow.sessions.of(&chatflow.id), self.scope()))
    }

    /// What log and metrics know the answer by: an error that is told as a stream is still one.
    pub(crate) fn status(&self, answered: StatusCode) -> u16 {
        self.refusal.get().map_or(answered, Refusal::status).as_u16()
    }

    /// For a name that no chatflow has. Who may call every chatflow there is, is told so; to anybody else it looks like
    /// any path that is not there.
    pub(crate) fn unknown_chatflow(&self) -> Refusal {
        let knows_all = self
            .key()
            .is_some_and(|key| key.kind == KeyKind::Secret && key.chatflows.is_none() && key.allows(self.client));
        if knows_all && self.token.get().is_none() { Refusal::UnknownChatflow } else { Refusal::NotFound }
    }

    /// The plan that has refused the request.
    pub(crate) fn exceeded_plan(&self) -> Option<&str> {
        let index = match self.exceeded.get()? {
            ExceededPlan::Visitors => self.person().map_or(self.policy()?.plan, |person| person.plan),
            ExceededPlan::Key => self.key()?.plan,
        };
        self.snapshot.config.plans.get(index).map(|plan| &*plan.name)
    }

    /// What answers the chatflow, as it is configured.
    pub(crate) fn upstream_label(&self) -> Option<&str> {
        let upstream = self.snapshot.config.upstreams.get(self.policy()?.upstream)?;
        Some(&upstream.name)
    }

    /// The key's id, or the name of the provider that vouches for who calls, or `-`.
    pub(crate) fn key_label(&self) -> &str {
        let identity = || self.person().map(|person| self.identity_name(person.identity));
        self.key().map(|key| &*key.id).or_else(identity).unwrap_or("-")
    }

    /// A number for who calls, in this snapshot: the index of the key, or behind those of all keys that of the provider.
    pub(crate) fn caller_index(&self) -> Option<u32> {
        let person = || {
            let keys = u32::try_from(self.snapshot.keys.keys().len()).ok()?;
            keys.checked_add(self.person()?.identity)
        };
        self.key.get().or_else(person)
    }

    /// The name of an identity provider.
    pub(crate) fn identity_name(&self, identity: u32) -> &str {
        self.snapshot.config.identity.get(identity as usize).map_or("-", |provider| &provider.name)
    }
}
