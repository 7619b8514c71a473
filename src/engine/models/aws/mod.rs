//! Requests to AWS: who asks, and the signature under each of them.

mod sign;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use jiff::Timestamp;
use url::Url;

use super::connection::{self, Headers};
use super::tokens::ExpiringCache;
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::provider::{Incoming, ProviderCall, ProviderEndpoint};
use crate::engine::text::percent::pairs;
use sign::{SigningRequest, SigningScope};

pub(crate) const CREDENTIAL: &str = "awsApi";
pub(crate) const REGION: &str = "us-east-1";
/// The header with an operation.
pub(crate) const TARGET: &str = "x-amz-target";
/// For which a role is taken.
const ROLE_TIME: Duration = Duration::from_hours(1);

/// Keys as AWS gives them out.
#[derive(Clone)]
struct AccountKeys {
    id: String,
    secret: Secret,
    /// Of keys that end.
    session: Option<Secret>,
}

impl AccountKeys {
    /// What a request has beside its own headers.
    fn headers(&self, place: &SigningScope<'_>, request: &SigningRequest<'_>) -> Result<Headers, Failure> {
        let session = self.session.as_ref().map(Secret::expose);
        let signature = sign::headers((&self.id, self.secret.expose(), session), place, request, Timestamp::now());
        let header = |(name, value): (&'static str, String)| {
            let value = HeaderValue::from_str(&value);
            let mut value = value.map_err(|_| Failure::flow("the credential awsApi cannot stand in a header"))?;
            value.set_sensitive(name != "x-amz-date");
            Ok((HeaderName::from_static(name), value))
        };
        signature.into_iter().map(header).collect()
    }
}

impl fmt::Debug for AccountKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountKeys")
    }
}

/// A role that is taken before anything else is asked.
#[derive(Debug)]
struct AwsRole {
    arn: String,
    external_id: Option<Secret>,
    sts: AwsHost,
    held: ExpiringCache<AccountKeys>,
}

/// A service in a region.
#[derive(Debug, Clone)]
pub(crate) struct AwsHost {
    pub(crate) endpoint: ProviderEndpoint,
    /// As it stands in requests.
    pub(crate) host: String,
    pub(crate) service: &'static str,
    pub(crate) region: String,
}

impl AwsHost {
    /// At the address, or where AWS has it.
    pub(crate) fn read(
        inputs: &mut Inputs<'_, '_, '_>,
        input: &str,
        (service, name): (&'static str, &str),
        region: &str,
        address: Option<&str>,
    ) -> Option<Self> {
        let own = format!("https://{name}.{region}.amazonaws.com");
        let address = address.unwrap_or(&own);
        let endpoint = connection::endpoint_at(inputs, input, address)?;
        let host = address.split_once("://").map_or(address, |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or_default().trim_end_matches(":443").to_owned();
        Some(Self { endpoint, host, service, region: region.to_owned() })
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct AwsAccess {
    keys: AccountKeys,
    role: Option<Arc<AwsRole>>,
}

/// What is asked.
pub(crate) struct AwsRequest<'a> {
    pub(crate) method: Method,
    /// Percent-encoded.
    pub(crate) path: &'a str,
    /// Names and values, in the order of the names.
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) headers: Headers,
    pub(crate) body: Bytes,
}

/// The region of a node, which stands in addresses.
pub(crate) fn region(inputs: &mut Inputs<'_, '_, '_>) -> Option<String> {
    let region = inputs.text("region").unwrap_or_else(|| REGION.to_owned());
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if !region.chars().all(fits) {
        inputs.refuse("region", "expected a region such as us-east-1");
        return None;
    }
    Some(region)
}

impl AwsAccess {
    /// `None`: keys are not configured, and noted as missing. There is nothing of the machine's own to fall back to.
    pub(crate) fn read(inputs: &mut Inputs<'_, '_, '_>, region: &str) -> Option<Self> {
        let id = connection::wanted(inputs, CREDENTIAL, "awsKey");
        let secret = connection::wanted(inputs, CREDENTIAL, "awsSecret");
        let session = connection::optional(inputs, CREDENTIAL, "awsSession");
        let arn = connection::optional(inputs, CREDENTIAL, "roleArn");
        let external_id = connection::optional(inputs, CREDENTIAL, "externalId");
        let keys = AccountKeys { id: id?.expose().to_owned(), secret: secret?, session };
        let role = match arn {
            Some(arn) => {
                let sts = AwsHost::read(inputs, "credential", ("sts", "sts"), region, None)?;
                let arn = arn.expose().to_owned();
                Some(Arc::new(AwsRole { arn, external_id, sts, held: ExpiringCache::default() }))
            }
            None => None,
        };
        Some(Self { keys, role })
    }

    /// The same of a credential that has keys and nothing else, in these fields.
    pub(crate) fn of_keys(
        inputs: &mut Inputs<'_, '_, '_>,
        credential: &str,
        (id, secret): (&str, &str),
    ) -> Option<Self> {
        let id = connection::wanted(inputs, credential, id);
        let secret = connection::wanted(inputs, credential, secret);
        Some(Self { keys: AccountKeys { id: id?.expose().to_owned(), secret: secret?, session: None }, role: None })
    }

    /// Sends it, signed.
    pub(crate) async fn send(
        &self,
        host: &AwsHost,
        request: AwsRequest<'_>,
        run: &Run<'_>,
    ) -> Result<Incoming, Failure> {
        signed(&self.present_keys(run).await?, host, request, run).await
    }

    /// Headers of a request for a file of S3, or of whoever speaks as it does. `url` is written as it is sent, with every
    /// letter encoded that is not plain, and its query in the order of the names.
    pub(crate) async fn for_file(&self, url: &Url, region: &str, run: &Run<'_>) -> Result<Headers, Failure> {
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let place = SigningScope { host: &host, service: sign::S3, region };
        let query = url.query().unwrap_or_default();
        let to_sign = SigningRequest { method: &Method::GET, path: url.path(), query, body: b"", target: None };
        self.present_keys(run).await?.headers(&place, &to_sign)
    }

    async fn present_keys(&self, run: &Run<'_>) -> Result<AccountKeys, Failure> {
        match &self.role {
            Some(role) => match role.held.get() {
                Some(held) => Ok(held),
                None => self.assume(role, run).await,
            },
            None => Ok(self.keys.clone()),
        }
    }

    /// Sends JSON to a path.
    pub(crate) async fn post(
        &self,
        host: &AwsHost,
        path: &str,
        body: &serde_json::Value,
        run: &Run<'_>,
    ) -> Result<Incoming, Failure> {
        let json = HeaderValue::from_static("application/json");
        let headers = vec![(CONTENT_TYPE, json.clone()), (http::header::ACCEPT, json)];
        let body = Bytes::from(body.to_string());
        self.send(host, AwsRequest { method: Method::POST, path, query: &[], headers, body }, run).await
    }

    async fn assume(&self, role: &AwsRole, run: &Run<'_>) -> Result<AccountKeys, Failure> {
        let session = format!("flowgate-{}", Timestamp::now().as_millisecond());
        let mut form = vec![
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", &role.arn),
            ("RoleSessionName", &session),
        ];
        form.extend(role.external_id.as_ref().map(|id| ("ExternalId", id.expose())));
        let headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))];
        let body = Bytes::from(pairs(&form));
        let request = AwsRequest { method: Method::POST, path: "/", query: &[], headers, body };
        // What AWS says names accounts and users.
        let failed = || Failure::Unreachable("The role could not be taken (roleArn of awsApi).".to_owned());
        let answer = signed(&self.keys, &role.sts, request, run).await.map_err(|_| failed())?.whole().await?;
        let keys = keys_of(&String::from_utf8_lossy(&answer)).ok_or_else(failed)?;
        role.held.keep(keys.clone(), ROLE_TIME);
        Ok(keys)
    }
}

/// The keys in an answer of XML.
fn keys_of(answer: &str) -> Option<AccountKeys> {
    let field = |name: &str| {
        let (_, rest) = answer.split_once(&format!("<{name}>"))?;
        let (text, _) = rest.split_once('<')?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let (id, secret, session) = (field("AccessKeyId")?, field("SecretAccessKey")?, field("SessionToken")?);
    Some(AccountKeys { id, secret: Secret::new(secret), session: Some(Secret::new(session)) })
}

async fn signed(
    keys: &AccountKeys,
    host: &AwsHost,
    request: AwsRequest<'_>,
    run: &Run<'_>,
) -> Result<Incoming, Failure> {
    let AwsRequest { method, path, query, mut headers, body } = request;
    let place = SigningScope { host: &host.host, service: host.service, region: &host.region };
    let query = sign::query(query);
    let target = headers.iter().find(|(name, _)| name.as_str() == TARGET);
    let target = target.and_then(|(_, value)| Some(value.to_str().ok()?.to_owned()));
    let to_sign = SigningRequest { method: &method, path, query: &query, body: &body, target: target.as_deref() };
    headers.extend(keys.headers(&place, &to_sign)?);
    let path = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    host.endpoint.send(ProviderCall { method, path: &path, headers: &headers, body }, run).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_role_are_read() {
        let answer = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId>\
                      <SecretAccessKey>a/b+c</SecretAccessKey><SessionToken>t==</SessionToken></Credentials>";
        let keys = keys_of(answer).unwrap();
        assert_eq!((keys.id.as_str(), keys.secret.expose(), keys.session.unwrap().expose()), ("ASIA", "a/b+c", "t=="));
        assert!(keys_of("<Error/>").is_none());
    }
}
