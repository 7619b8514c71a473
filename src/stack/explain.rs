//! Walks a request through the policy in force, as the layers would, and says what each decides and by which line.
//! Nothing is sent and nothing is counted. The decisions are the layers' own: what is here asks them one after the other,
//! in the order in which [`build`](super::build) has them, and puts into words what they say.

mod wording;

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};

use super::auth;
use super::authorize::{by_body, by_query};
use super::body::{check_body, read_body};
use super::check::Check;
use super::context::{AuthorizedCall, Call, Context, Trial, authorize};
use super::cors;
use super::decided::{Decided, by_pages, decided, helps, lets_pass};
use super::flowise::refuse_forced;
use super::guard::Guard;
use super::limits::{self, LimitPeek};
use super::request_id::{SeenPeer, open, text_of};
use super::route::Routing;
use super::routes::{Endpoint, FlowCall, NamedIn};
use crate::policy::Backend;
use crate::predict::request::{CheckedRequest, Prediction, Question};
use crate::snapshot::{Local, Snapshot};
use crate::wire::body::Body;
use crate::wire::client_body::ClientBody;
use crate::wire::refusal::Refusal;

pub(crate) use wording::{ExplainStep, Explanation, StepResult};

/// A request that is only asked about.
pub(crate) struct ExplainRequest {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Of the peer.
    pub(crate) address: IpAddr,
    /// Instead of a credential among the headers.
    pub(crate) key_id: Option<Box<str>>,
}

/// What would become of it. To be run where waiting hurts nobody.
pub(crate) async fn explain(snapshot: Arc<Snapshot>, asked: ExplainRequest) -> Explanation {
    let ExplainRequest { method, uri, mut headers, body, address, key_id } = asked;
    if !headers.contains_key(HOST) {
        headers.insert(HOST, HeaderValue::from_static("flowgate"));
    }
    if !body.is_empty() {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let mut request = Request::new(());
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
    let (head, ()) = request.into_parts();
    let peer = SocketAddr::new(address, 0);
    let seen = SeenPeer { peer, peer_text: text_of(address.to_canonical()), tls: false, original: None };
    let trial = Some(Box::new(Trial { key: key_id }));
    let context = open(&head, seen, Local::new(snapshot), HeaderValue::from_static("explain"), trial);
    let call =
        Call { head: Box::new(head), body: ClientBody::read(body), context: Rc::new(context), authorization: () };
    let mut walk = RequestWalk { context: Rc::clone(&call.context), steps: Vec::new() };
    let end = walk.through(call).await;
    walk.end(end)
}

/// The steps so far.
struct RequestWalk {
    context: Rc<Context>,
    steps: Vec<ExplainStep>,
}

/// How the way ends: with an answer of that status, or a no.
type WalkEnd = Result<StatusCode, Refusal>;

impl RequestWalk {
    async fn through(&mut self, mut call: Call) -> WalkEnd {
        if let Some(answer) = self.checked("route", Routing, &mut call.head, wording::route)? {
            return Ok(answer.status());
        }
        match auth::decide(&call.head.headers, &self.context) {
            Ok(()) => self.pass("caller", wording::caller(&self.context)),
            Err(refusal) => return self.refuse("caller", refusal),
        }
        let authorization = self.authorize(&mut call).await;
        let authorization = match authorization {
            // What a path says is told at once, what a query or a body says once it has been charged.
            Err(refusal) if self.is_named_by_path() => return self.refuse("authorize", refusal),
            authorization => authorization,
        };
        if authorization.is_ok() {
            self.pass("authorize", wording::authorized(&self.context));
        }
        self.limits()?;
        self.checked("guard", Guard, &mut call.head, wording::guard)?;
        let authorized = match authorization {
            Ok(authorized) => authorized,
            Err(refusal) => return self.refuse("authorize", refusal),
        };
        self.body(&authorized, call.body).await?;
        self.upstream(&authorized);
        Ok(StatusCode::OK)
    }

    fn is_named_by_path(&self) -> bool {
        let named_in = self.context.route.get().map(|route| route.chatflow);
        !matches!(named_in, Some(NamedIn::Query | NamedIn::Body(_)))
    }

    async fn authorize(&self, call: &mut Call) -> Result<AuthorizedCall, Refusal> {
        match self.context.route.get().map(|route| route.chatflow) {
            Some(NamedIn::Query) => by_query(call),
            Some(NamedIn::Body(field)) => by_body(call, field).await,
            _ => authorize(&self.context),
        }
    }

    /// What a layer says that looks at the head alone.
    fn checked(
        &mut self,
        step: &'static str,
        check: impl Check,
        head: &mut Parts,
        tell: impl FnOnce(&Context) -> String,
    ) -> Result<Option<Response<Body>>, Refusal> {
        let context = Rc::clone(&self.context);
        match check.check(head, &context) {
            Ok(None) => {
                self.pass(step, tell(&context));
                Ok(None)
            }
            Ok(Some(answer)) => {
                let says = format!("answered by the gateway itself, with {}", answer.status().as_u16());
                self.tell(step, StepResult::Answers, says, None);
                Ok(Some(answer))
            }
            Err(refusal) => self.refuse(step, refusal),
        }
    }

    fn limits(&mut self) -> Result<(), Refusal> {
        match limits::peek(&self.context) {
            Ok(peeks) if peeks.is_empty() => self.pass("limits", "nothing is counted".to_owned()),
            Ok(peeks) => peeks.iter().for_each(|one| self.limit(one)),
            Err(refusal) => return self.refuse("limits", refusal),
        }
        Ok(())
    }

    fn limit(&mut self, peek: &LimitPeek) {
        let plan = format!("plans.{}", peek.status.plan);
        let place = self.context.snapshot.config.place(&plan);
        self.tell("limits", StepResult::Passes, wording::limit(peek), Some(Decided { setting: Some(plan), place }));
    }

    async fn body(&mut self, authorized: &AuthorizedCall, body: ClientBody) -> Result<(), Refusal> {
        let endpoint = self.context.endpoint();
        let outcome = match endpoint {
            Some(Endpoint::Flow(FlowCall::Prediction)) => self.prediction(authorized, body).await,
            Some(Endpoint::Flow(FlowCall::Upsert)) => {
                refuse_forced(&self.context).map(|()| wording::PASSED_ON.to_owned())
            }
            Some(Endpoint::Flow(FlowCall::Streaming) | Endpoint::Usage) | None => return Ok(()),
            Some(_) => {
                self.tell("body", StepResult::Unknown, wording::NOT_LOOKED_AT.to_owned(), None);
                return Ok(());
            }
        };
        match outcome {
            Ok(says) => self.pass("body", says),
            Err(refusal) => return self.refuse("body", refusal),
        }
        Ok(())
    }

    async fn prediction(&self, authorized: &AuthorizedCall, body: ClientBody) -> Result<String, Refusal> {
        let context = &self.context;
        let (authorized_flow, _) = authorized.flow()?;
        let flow = authorized_flow.flow();
        match authorized_flow.backend() {
            Backend::Engine { .. } => check_body::<Question>(body, flow, context).await.map(|checked| said(&checked)),
            Backend::Flowise { .. } if context.passes_unread() => {
                refuse_forced(context)?;
                read_body(body, context).await.map(|_| wording::PASSED_ON.to_owned())
            }
            Backend::Flowise { .. } => check_body::<Bytes>(body, flow, context).await.map(|checked| said(&checked)),
        }
    }

    /// Where it would go, and whether anybody is there.
    fn upstream(&mut self, authorized: &AuthorizedCall) {
        let context = Rc::clone(&self.context);
        let Some(upstream) = context.upstream_label() else { return };
        let Ok((flow, _)) = authorized.flow() else { return };
        let (result, says) = match context.snapshot.target(&flow) {
            None => (StepResult::Passes, "computed here, by the built-in engine".to_owned()),
            Some(target) => wording::servers(target),
        };
        let setting = format!("upstreams.{upstream}");
        let place = context.snapshot.config.place(&setting);
        self.tell("upstream", result, says, Some(Decided { setting: Some(setting), place }));
    }

    fn pass(&mut self, step: &'static str, says: String) {
        let decided = lets_pass(&self.context, step);
        self.tell(step, StepResult::Passes, says, decided);
    }

    fn tell(&mut self, step: &'static str, result: StepResult, says: String, decided: Option<Decided>) {
        let Decided { setting, place } = decided.unwrap_or_default();
        self.steps.push(ExplainStep { step, result, says, setting, place });
    }

    fn refuse<T>(&mut self, step: &'static str, refusal: Refusal) -> Result<T, Refusal> {
        let decided = decided(&self.context, &refusal);
        self.tell(step, StepResult::Refuses, refusal.message().to_owned(), decided);
        Err(refusal)
    }

    fn end(mut self, end: WalkEnd) -> Explanation {
        let context = Rc::clone(&self.context);
        if let Err(refusal) = &end {
            // As the layers leave it, for whoever reads it further out.
            let _ = context.refusal.set(refusal.clone());
        }
        if let Some(origin) = &context.origin {
            let (result, says) = cors::told(&context, origin);
            self.tell("cors", result, says, origin.to_str().ok().and_then(|origin| by_pages(&context, origin)));
        }
        wording::explanation(&context, self.steps, &end.map_err(|refusal| (helps(&refusal), refusal)))
    }
}

fn said<C: CheckedRequest>(checked: &Prediction<C>) -> String {
    let shape = if checked.streaming { "a stream is asked for" } else { "an answer in one piece is asked for" };
    let chat = if checked.ids.is_new { "in a new chat" } else { "in a chat that goes on" };
    format!("{shape}, {chat}; whether the chat is being answered already is not looked at")
}
