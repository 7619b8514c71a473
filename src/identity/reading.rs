//! One reading of an issuer's keys: its document, if there is one, then the set.
//!
//! No redirect is followed, and nothing but these two addresses is asked: who may name an issuer's keys is the issuer
//! alone (`OpenID` Connect Discovery 1.0, sections 4 and 4.3).

use std::net::IpAddr;
use std::time::Duration;

use http::header::HeaderValue;
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;

use crate::client::{self, Client, ClientTls, Origin, Reach, Request, RequestBody, RequestHead, Timeouts, TrustError};
use crate::config::{HttpUrl, IdentityProvider, IssuerKeySource};
use crate::jwt::{KeySet, KeySetFault};
use crate::telemetry::calls::CallReason;
use crate::wire::json;

/// Bytes of a document or a set.
const LARGEST: usize = 1 << 20;
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), response: Duration::from_secs(10) };

/// Why an issuer's keys cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFailure {
    #[error("{url} cannot be asked: {error}")]
    Call { url: String, error: client::Error },
    #[error("{url} was answered with {status}{}", hint(*status))]
    Status { url: String, status: StatusCode },
    #[error("the answer of {0} broke off, or is larger than 1 MiB")]
    Body(String),
    #[error("{0} is no JSON object")]
    NoDocument(String),
    #[error("{url} is the document of another issuer, {found:?}: write that very text as `issuer` if it is the one")]
    OtherIssuer { url: String, found: String },
    #[error("{0} has no `jwks_uri` that could be asked; behind https it must be https too")]
    NoKeyAddress(String),
    #[error("{url}: {fault}")]
    Keys { url: String, fault: KeySetFault },
    #[error("its certificates cannot be checked: {0}")]
    Trust(#[from] TrustError),
    #[error("{0} names no host")]
    Host(String),
    #[error("no answer within {0:?}")]
    Late(Duration),
}

fn hint(status: StatusCode) -> &'static str {
    if status.is_redirection() { ", and redirects are not followed: write where it leads" } else { "" }
}

impl ReadFailure {
    /// What stands behind it, and what can be done about it.
    pub(crate) fn reason(&self) -> (String, Option<&'static str>) {
        match self {
            Self::Call { error, .. } => {
                let CallReason { cause, advice } = CallReason::of(error);
                (cause, advice)
            }
            _ => Default::default(),
        }
    }
}

/// Whether what is read could be somebody else's word.
pub(super) fn is_open_to_others(provider: &IdentityProvider) -> bool {
    let (IssuerKeySource::Discovery(url) | IssuerKeySource::Url(url)) = &provider.keys else { return false };
    let host = &url.server.host;
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    !url.server.https && !is_here
}

/// The keys of a provider, wherever they are.
pub(crate) async fn read_keys(client: &Client, provider: &IdentityProvider) -> Result<KeySet, ReadFailure> {
    let url = match &provider.keys {
        IssuerKeySource::Discovery(url) => discover(client, provider, url).await?,
        IssuerKeySource::Url(url) => url.clone(),
        // Read with the configuration.
        IssuerKeySource::File(path, _) => return Err(ReadFailure::NoKeyAddress(path.display().to_string())),
    };
    let set = get(client, provider, &url).await?;
    KeySet::read(json::sound(&set).as_bytes()).map_err(|fault| ReadFailure::Keys { url: url.to_string(), fault })
}

/// Where the issuer's document says that its keys are.
async fn discover(client: &Client, provider: &IdentityProvider, url: &HttpUrl) -> Result<HttpUrl, ReadFailure> {
    let document = get(client, provider, url).await?;
    let document: Value = json::read_answer(&document).map_err(|_| ReadFailure::NoDocument(url.to_string()))?;
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let found = text("issuer").unwrap_or_default();
    if provider.issuer.as_deref() != Some(found) {
        let found = found.chars().take(256).collect();
        return Err(ReadFailure::OtherIssuer { url: url.to_string(), found });
    }
    let keys = text("jwks_uri").and_then(|uri| HttpUrl::parse(uri).ok());
    let keys = keys.filter(|keys| keys.server.https || !url.server.https);
    keys.ok_or_else(|| ReadFailure::NoKeyAddress(url.to_string()))
}

async fn get(client: &Client, provider: &IdentityProvider, url: &HttpUrl) -> Result<Vec<u8>, ReadFailure> {
    let tls = match (&provider.ca, url.server.https) {
        (_, false) => None,
        (Some((_, pem)), true) => Some(ClientTls::listed(pem)?),
        (None, true) => Some(ClientTls::system()?),
    };
    // The operator has named the issuer, and may have one in the same network.
    let origin = Origin::new(&url.server.host, url.server.port, tls.as_ref(), Reach::Any, TIMEOUTS)
        .map_err(|_| ReadFailure::Host(url.to_string()))?;
    let mut head = RequestHead::new(Method::GET, &[&url.target]);
    head.field("user-agent", &HeaderValue::from_static(concat!("flowgate/", env!("CARGO_PKG_VERSION"))));
    head.lines(b"accept: application/json\r\nconnection: close\r\n");
    let mut request = Request::new(head, RequestBody::Empty);
    let answered = client.send(&origin, origin.peer(), &mut request, &|| {}).await;
    let response = answered.map_err(|error| ReadFailure::Call { url: url.to_string(), error })?;
    if response.status != StatusCode::OK {
        return Err(ReadFailure::Status { url: url.to_string(), status: response.status });
    }
    let whole = Limited::new(response.body, LARGEST).collect().await;
    whole.map(|body| body.to_bytes().to_vec()).map_err(|_| ReadFailure::Body(url.to_string()))
}
