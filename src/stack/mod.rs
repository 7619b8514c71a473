//! The request path as one list of layers: the middleware.

mod access_log;
mod auth;
mod authorize;
mod backend;
mod body;
mod check;
pub(crate) mod context;
mod cors;
mod cuts;
mod decided;
mod demo_page;
mod dispatch;
mod engine;
mod environment;
pub(crate) mod explain;
mod explanation;
mod ext_auth;
mod flowise;
mod guard;
mod limits;
mod metrics;
mod mint;
mod recent;
mod request_id;
mod route;
pub(crate) mod routes;
mod traces;
mod usage;
mod widget;

use std::convert::Infallible;
use std::rc::Rc;

use http::Response;
use tower::{Service, ServiceBuilder};

use crate::wire::body::Body;
use crate::wire::watched::Watched;

pub(crate) use context::{Arrival, ListenerKind};
pub(crate) use cuts::StreamCuts;
pub(crate) use decided::helps;
pub(crate) use environment::Environment;
pub(crate) use request_id::text_of;

/// Builds the stack of one worker; a connection clones it.
///
/// A request goes from top to bottom, its answer from bottom to top.
pub(crate) fn build(environment: Rc<Environment>) -> impl Stack {
    ServiceBuilder::new()
        // What was decided before, for a proxy that keeps no bodies.
        .layer(ext_auth::ReplayLayer)
        // Loads the snapshot, once, and opens the context that every other layer fills.
        .layer(request_id::RequestIdLayer::new(Rc::clone(&environment)))
        // Outside every decision, so that refusals are logged and counted as well.
        .layer(access_log::AccessLogLayer::new(Rc::clone(&environment)))
        .layer(metrics::MetricsLayer::new(Rc::clone(&environment)))
        // Outside of CORS: a proxy that asks is told everything in one piece.
        .layer(ext_auth::DecisionLayer)
        // Outside every refusal: a page that may read answers may read those.
        .layer(cors::CorsLayer)
        // Before authentication: access hangs on the route and its chatflow, and what is no route is nobody's.
        .layer(check::layer(route::Routing))
        .layer(auth::AuthLayer)
        // Inside authentication: what may be called hangs on who calls. Nothing further in is reached without it.
        .layer(authorize::AuthorizeLayer)
        // Inside both: limits belong to keys and to chatflows.
        .layer(limits::LimitsLayer::new(Rc::clone(&environment)))
        // Inside the limits: asking for what cannot be had is charged as well.
        .layer(check::layer(guard::Guard))
        // Innermost: reads the body within its bound, checks it, and asks the backend.
        .service(dispatch::Dispatch::new(environment))
}

/// What the stack answers with: the body, measured and logged.
pub(crate) type MeasuredBody = Watched<Watched<Body, Option<metrics::Measure>>, access_log::Line>;

/// The whole stack, of which nobody outside needs the layers' names.
pub(crate) trait Stack:
    Service<Arrival, Response = Response<MeasuredBody>, Error = Infallible, Future: 'static> + Clone + 'static
{
}

impl<S> Stack for S where
    S: Service<Arrival, Response = Response<MeasuredBody>, Error = Infallible, Future: 'static> + Clone + 'static
{
}
