//! Counts a request against its caller's plan and says in every answer where the caller stands.
//!
//! Inside `auth` and `authorize`: a key has a plan, which all who use the key share. Where strangers do, each of them has in addition
//! the share that the chatflow's `plan` gives to a caller without a key, so that one cannot use up everybody's: with a
//! publishable key an address, with a session token its subject. Callers without a key have that share alone, by
//! address. Somebody whom an identity provider vouches for has a plan's share by itself, whatever it calls. Headers: draft-ietf-httpapi-ratelimit-headers-11. A request in flight holds its places until its last byte; one
//! too many waits for a while, as the plan says, before it is refused.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll, ready};
use std::time::Instant;

use futures_util::future::Either;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::check::{LayerFuture, LayerResult, refuse};
use super::context::{Authorization, Call, Context, ExceededPlan};
use super::environment::Environment;
use super::routes::Endpoint;
use crate::predict::session::Scope;
use crate::state::limits::{
    AdmitDecision, AdmitTurn, Allowance, AllowancePeek, Exceeded, LimitStatus, Permit, Visitor,
};
use crate::state::maybe_future::MaybeFuture;
use crate::wire::body::Body;
use crate::wire::refusal::Refusal;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

#[derive(Clone)]
pub(crate) struct LimitsLayer(Rc<Environment>);

impl LimitsLayer {
    pub(crate) fn new(environment: Rc<Environment>) -> Self {
        Self(environment)
    }
}

impl<S> Layer<S> for LimitsLayer {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { environment: Rc::clone(&self.0), inner }
    }
}

#[derive(Clone)]
pub(crate) struct Limited<S> {
    environment: Rc<Environment>,
    inner: S,
}

impl<S> Service<Call<Authorization>> for Limited<S>
where
    S: Service<Call<Authorization>, Response = Response<Body>, Error = Infallible> + Clone + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = LimitsFuture<Either<Ready<LayerResult>, Either<S::Future, LayerFuture>>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call<Authorization>) -> Self::Future {
        let mut places = Admitted::default();
        let inner = match places.take(&call.context, 0) {
            Err(refusal) => Either::Left(ready(Ok(refuse(&call.context, refusal)))),
            Ok(None) => {
                call.context.permits.set(std::mem::take(&mut places.permits));
                Either::Right(Either::Left(self.inner.call(call)))
            }
            Ok(Some(queued)) => {
                let Self { environment, inner } = self.clone();
                let places = std::mem::take(&mut places);
                // Boxed: it is rare, and a future is as large as its largest branch.
                let later: LayerFuture = Box::pin(in_turn(environment, inner, call, places, queued));
                Either::Right(Either::Right(later))
            }
        };
        LimitsFuture { inner, fields: places.fields }
    }
}

/// Answers a request once it has its places, or refuses it.
async fn in_turn<S>(
    environment: Rc<Environment>,
    mut inner: S,
    call: Call<Authorization>,
    places: Admitted,
    queued: Queued,
) -> LayerResult
where
    S: Service<Call<Authorization>, Response = Response<Body>, Error = Infallible>,
{
    let context = Rc::clone(&call.context);
    let mut places = places;
    let admitted = places.wait(&environment, &context, queued).await;
    let mut response = match admitted {
        Ok(()) => {
            context.permits.set(std::mem::take(&mut places.permits));
            let Ok(response) = inner.call(call).await;
            response
        }
        Err(refusal) => refuse(&context, refusal),
    };
    tell(&mut places.fields, response.headers_mut());
    Ok(response)
}

/// Policy and state of each limit that was looked at, the narrowest first.
type RateLimitFields = [Option<(HeaderValue, HeaderValue)>; 2];
/// A request that is not decided yet: about the place with that number, under that policy.
type Queued = (usize, HeaderValue, MaybeFuture<AdmitTurn>);

/// Places among the requests in flight: a visitor's, and a key's.
#[derive(Default)]
struct Admitted {
    permits: [Option<Permit>; 2],
    fields: RateLimitFields,
}

impl Admitted {
    /// Counts the request against everything that it falls under, from that number on, and takes its places; `Some`:
    /// it must wait for one, or for the store that knows.
    fn take(&mut self, context: &Context, from: usize) -> Result<Option<Queued>, Refusal> {
        if context.endpoint() == Some(Endpoint::Usage) {
            // Who looks at what is left uses nothing, also where nothing is left.
            return Ok(None);
        }
        // The visitor first: what one of them may not have is not taken from the others.
        if from == 0
            && let Some(visitor) = visitor(context)
            && let Some(queued) = self.admit(context, 0, &context.visitors().allowance(visitor))?
        {
            return Ok(Some(queued));
        }
        match context.key.get().and_then(|key| context.snapshot.allowance(key)) {
            Some(key) => self.admit(context, 1, key),
            None => Ok(None),
        }
    }

    fn admit(&mut self, context: &Context, number: usize, allowance: &Allowance) -> Result<Option<Queued>, Refusal> {
        let policy = &allowance.plan.policy;
        match allowance.admit() {
            MaybeFuture::Now(AdmitTurn::Decided(decision)) => {
                self.note(context, number, policy, decision).map(|()| None)
            }
            later => Ok(Some((number, policy.clone(), later))),
        }
    }

    async fn wait(&mut self, environment: &Environment, context: &Context, queued: Queued) -> Result<(), Refusal> {
        let mut next = Some(queued);
        while let Some((number, policy, turn)) = next {
            let decision = match turn.answer().await {
                AdmitTurn::Decided(decision) => decision,
                AdmitTurn::Queued(decision) => {
                    let waited = Waited::begin(environment, context);
                    let decision = decision.await;
                    waited.end(decision.0.is_ok());
                    decision
                }
            };
            self.note(context, number, &policy, decision)?;
            next = if number == 0 { self.take(context, 1)? } else { None };
        }
        Ok(())
    }

    fn note(
        &mut self,
        context: &Context,
        number: usize,
        policy: &HeaderValue,
        (permit, state): AdmitDecision,
    ) -> Result<(), Refusal> {
        let (Some(fields), Some(place)) = (self.fields.get_mut(number), self.permits.get_mut(number)) else {
            return Ok(());
        };
        *fields = Some((policy.clone(), state));
        match permit {
            Ok(permit) => {
                *place = Some(permit);
                Ok(())
            }
            Err(exceeded) => {
                if number == 1 {
                    self.give_back(context);
                }
                let plan = if number == 0 { ExceededPlan::Visitors } else { ExceededPlan::Key };
                context.exceeded.set(Some(plan));
                Err(refusal(exceeded))
            }
        }
    }
}

impl Admitted {
    /// What the key refuses is not taken from the visitor either.
    fn give_back(&mut self, context: &Context) {
        let ([place, _], [fields, _]) = (&mut self.permits, &mut self.fields);
        if let (Some(permit), Some(visitor)) = (place.take(), visitor(context)) {
            let share = context.visitors().allowance(visitor);
            *fields = Some((share.plan.policy.clone(), share.give_back(permit)));
        }
    }
}

/// What a request falls under, and what would be said to it.
pub(super) struct LimitPeek {
    pub(super) status: LimitStatus,
    pub(super) whose: &'static str,
    /// For a place among those in flight.
    pub(super) waits: bool,
}

/// What [`Admitted::take`] would find out now. Nothing is counted.
pub(super) fn peek(context: &Context) -> Result<Vec<LimitPeek>, Refusal> {
    if context.endpoint() == Some(Endpoint::Usage) {
        return Ok(Vec::new());
    }
    let of_visitor = visitor(context).map(|visitor| context.visitors().allowance(visitor));
    let of_key = context.key.get().and_then(|key| context.snapshot.allowance(key)).cloned();
    let mut all = Vec::new();
    for (plan, whose, allowance) in
        [(ExceededPlan::Visitors, "its visitor's share", of_visitor), (ExceededPlan::Key, "its key", of_key)]
    {
        let Some(allowance) = allowance else { continue };
        let AllowancePeek { status, waits, refused } = allowance.peek();
        if let Some(exceeded) = refused {
            context.exceeded.set(Some(plan));
            return Err(refusal(exceeded));
        }
        all.push(LimitPeek { status, whose, waits });
    }
    Ok(all)
}

/// A request that waits; told to metrics and log when it ends, be it because the client has left.
struct Waited<'a> {
    environment: &'a Environment,
    context: &'a Context,
    since: Instant,
    result: &'static str,
}

impl<'a> Waited<'a> {
    fn begin(environment: &'a Environment, context: &'a Context) -> Self {
        environment.metrics.limits.waiting.inc();
        Self { environment, context, since: Instant::now(), result: "left" }
    }

    fn end(mut self, admitted: bool) {
        self.result = if admitted { "admitted" } else { "refused" };
    }
}

impl Drop for Waited<'_> {
    fn drop(&mut self) {
        let waited = self.since.elapsed();
        let metrics = &self.environment.metrics;
        metrics.limits.waiting.dec();
        metrics.limits.waits.with_label_values(&[self.result]).observe(waited.as_secs_f64());
        let before = self.context.waited.get().unwrap_or_default();
        self.context.waited.set(Some(before + waited));
    }
}

/// Who is counted besides the key, if anybody.
pub(super) fn visitor(context: &Context) -> Option<Visitor> {
    match context.scope() {
        Scope::Key(_) => None,
        Scope::Token { key, subject } => Some(Visitor::user(key, subject)),
        Scope::Person { identity, subject } => Some(Visitor::person(identity, subject)),
        Scope::Visitor { address, .. } | Scope::Address(address) => Some(Visitor::at(address)),
    }
}

/// Charges what models have taken for the request, to all against whom it was counted.
pub(super) fn spend(context: &Context, tokens: u64) {
    if tokens == 0 {
        return;
    }
    if let Some(key) = context.key.get().and_then(|key| context.snapshot.allowance(key)) {
        key.spend(tokens);
    }
    let visitors = context.visitors();
    if visitors.limits_tokens()
        && let Some(visitor) = visitor(context)
    {
        visitors.allowance(visitor).spend(tokens);
    }
}

fn refusal(exceeded: Exceeded) -> Refusal {
    match exceeded {
        Exceeded::Rate { retry_after } => Refusal::RateLimited { retry_after },
        Exceeded::Concurrent => Refusal::TooManyConcurrent,
        Exceeded::Unknown => Refusal::StateUnavailable,
        Exceeded::Quota { retry_after } => Refusal::QuotaExceeded { retry_after },
        Exceeded::Tokens { retry_after } => Refusal::TokensExceeded { retry_after },
    }
}

pin_project! {
    /// Puts the fields on the response.
    pub(crate) struct LimitsFuture<F> {
        #[pin]
        inner: F,
        fields: RateLimitFields,
    }
}

impl<F> Future for LimitsFuture<F>
where
    F: Future<Output = LayerResult>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(cx));
        tell(this.fields, response.headers_mut());
        Poll::Ready(Ok(response))
    }
}

fn tell(fields: &mut RateLimitFields, headers: &mut HeaderMap) {
    let told = fields.iter_mut().filter_map(Option::take);
    for (number, (policy, state)) in told.enumerate() {
        if number == 0 {
            headers.insert(RATELIMIT_POLICY, policy);
            headers.insert(RATELIMIT, state);
        } else {
            // Two lines of a list are one list, RFC 9651, section 3.1.
            headers.append(RATELIMIT_POLICY, policy);
            headers.append(RATELIMIT, state);
        }
    }
}
