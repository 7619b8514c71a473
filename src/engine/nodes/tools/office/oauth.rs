//! Access to a service on somebody's behalf: a token that ends, and what a new one is given for.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::contract::tokens::GrantedToken;
use crate::engine::provider::ProviderCall;
use crate::engine::provider::address::Address;
use crate::engine::text::percent::{located, pairs};
use crate::engine::text::variables::text_of;
use crate::wire::json;

/// For the head of an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Before its end, as Flowise does.
const EARLIER: SignedDuration = SignedDuration::from_mins(5);
/// So long nobody asks again where the last answer was no.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// Of a token that does not say.
const USUAL: i64 = 3600;
const AGAIN: &str = "Please re-authorize the credential.";

/// See the module.
#[derive(Debug)]
pub(in crate::engine::nodes) struct OAuthCredential {
    access: Option<Secret>,
    /// `None`: nobody said, and it is taken as it is.
    end: Option<Timestamp>,
    renewal: Option<Renewal>,
}

#[derive(Debug)]
struct Renewal {
    /// Of all that it is asked with.
    key: [u8; 32],
    address: Address,
    client: Secret,
    secret: Secret,
    token: Secret,
    scope: Option<Secret>,
}

impl OAuthCredential {
    /// By the names that Flowise gives its fields. `issuer`: where tokens are had, if the credential does not say.
    pub(in crate::engine::nodes) fn read(
        name: &str,
        issuer: Option<&str>,
        inputs: &mut Inputs<'_, '_, '_>,
    ) -> Option<Self> {
        let access = inputs.optional_credential(name, "access_token");
        let end = inputs.optional_credential(name, "expires_at");
        let scope = inputs.optional_credential(name, "scope");
        let wanted = ["clientId", "clientSecret", "refresh_token"];
        let [client, secret, token] = if access.is_some() {
            wanted.map(|field| inputs.optional_credential(name, field))
        } else {
            wanted.map(|field| inputs.credential(name, field))
        };
        let url = inputs.optional_credential(name, "accessTokenUrl");
        let url = url.as_ref().map(Secret::expose).or(issuer);
        if url.is_none() && access.is_none() {
            inputs.credential(name, "accessTokenUrl");
        }
        let renewal = match (client, secret, token, url) {
            (Some(client), Some(secret), Some(token), Some(url)) => {
                let address = Address::of_operator(url, &inputs.compiler.context.targets, PATIENCE);
                let wrong = |error| {
                    let message = format!("credential {name}, accessTokenUrl: {error}");
                    inputs.compiler.of_node(inputs.node, None, message);
                };
                let address = address.map_err(wrong).ok()?;
                let key = key_of([url, client.expose(), secret.expose(), token.expose()]);
                Some(Renewal { key, address, client, secret, token, scope })
            }
            _ => None,
        };
        let end = end.and_then(|end| end.expose().parse::<Timestamp>().ok());
        Some(Self { access, end, renewal })
    }

    /// One that is good for a while.
    ///
    /// # Errors
    /// There is none, and none can be had.
    pub(in crate::engine::nodes) async fn token(&self, run: &Run<'_>) -> Result<Secret, Failure> {
        let now = Timestamp::now();
        if let Some(access) = self.access.as_ref().filter(|_| self.end.is_none_or(|end| lasts(end, now))) {
            return Ok(access.clone());
        }
        let Some(renewal) = &self.renewal else {
            return Err(Failure::flow(if self.access.is_none() {
                "No access token found in credential".to_owned()
            } else {
                format!("Access token is expired and no refresh token is available. {AGAIN}")
            }));
        };
        let place = run.services.tokens.place(&renewal.key);
        let mut granted = place.lock().await;
        let now = Timestamp::now();
        match &*granted {
            Some(token) if lasts(token.end, now) => return Ok(token.access.clone()),
            Some(token) if token.refused.as_ref().is_some_and(|(since, _)| now.duration_since(*since) < PAUSE) => {
                let words = token.refused.as_ref().map(|(_, words)| words.clone());
                return Err(Failure::Refused(words.unwrap_or_default()));
            }
            _ => {}
        }
        // A provider may give another refresh token with each access token.
        let refresh = granted.as_ref().and_then(|token| token.refresh.clone());
        match renewal.renewed(refresh.as_ref(), run).await {
            Ok(token) => {
                let access = token.access.clone();
                *granted = Some(token);
                Ok(access)
            }
            Err(failure) if failure.ends_run() => Err(failure),
            Err(failure) => {
                let words = format!("Failed to refresh access token: {}. {AGAIN}", run.told(&failure));
                let refused = Some((Timestamp::now(), words.clone()));
                *granted = Some(GrantedToken { access: Secret::new(String::new()), refresh, end: now, refused });
                Err(Failure::Refused(words))
            }
        }
    }
}

fn lasts(end: Timestamp, now: Timestamp) -> bool {
    end.duration_since(now) > EARLIER
}

fn key_of<const N: usize>(parts: [&str; N]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    context.finish().as_ref().try_into().unwrap_or_default()
}

impl Renewal {
    /// A new one; `refresh`: what the last one came with.
    async fn renewed(&self, refresh: Option<&Secret>, run: &Run<'_>) -> Result<GrantedToken, Failure> {
        let refresh = refresh.unwrap_or(&self.token);
        let mut form = vec![
            ("client_id", self.client.expose()),
            ("client_secret", self.secret.expose()),
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.expose()),
        ];
        form.extend(self.scope.as_ref().map(|scope| ("scope", scope.expose())));
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ];
        let path = self.address.path.address(run).map_err(Failure::flow)?;
        let call = ProviderCall {
            method: Method::POST,
            path: &located(&path),
            headers: &headers,
            body: pairs(&form).into_bytes().into(),
        };
        let answer = self.address.endpoint.fetch(call, run).await?;
        let read: Value = json::read_answer(&answer.body).unwrap_or_default();
        let text = |name: &str| read.get(name).filter(|value| !value.is_null()).map(text_of);
        let access = text("access_token").filter(|token| answer.status.is_success() && !token.is_empty());
        let Some(access) = access else {
            let status = answer.status;
            let reason = status.canonical_reason().unwrap_or_default();
            let words = text("error_description").or_else(|| text("error")).unwrap_or_else(|| reason.to_owned());
            let secrets = [refresh, &self.secret].into_iter().filter(|secret| !secret.expose().is_empty());
            let words = secrets.fold(words, |words, secret| words.replace(secret.expose(), "[key]"));
            return Err(Failure::Refused(format!("Failed to refresh token: {} {reason} - {words}", status.as_u16())));
        };
        let seconds = read.get("expires_in").and_then(seconds).unwrap_or(USUAL);
        let now = Timestamp::now();
        let end = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
        let refresh = text("refresh_token").map(Secret::new).or_else(|| Some(refresh.clone()));
        Ok(GrantedToken { access: Secret::new(access), refresh, end, refused: None })
    }
}

/// A number, or a text of one, within a year.
fn seconds(value: &Value) -> Option<i64> {
    let seconds = value.as_i64().or_else(|| value.as_str()?.parse().ok())?;
    (0..=366 * 86_400).contains(&seconds).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::mcp::lab::{response, server};
    use crate::engine::provider::Targets;
    use crate::engine::testing::within;
    use crate::telemetry::metrics::Metrics;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    /// One that has ended.
    fn ended(origin: &str) -> OAuthCredential {
        let targets = Targets::alone("local", &Metrics::new().unwrap());
        let address = Address::of_operator(&format!("{origin}/t/token?x=1"), &targets, PATIENCE).unwrap();
        let (client, key, token) = (secret("client id"), secret("s&s"), secret("R1"));
        let scope = Some(secret("a b"));
        let renewal = Renewal { key: [1; 32], address, client, secret: key, token, scope };
        OAuthCredential { access: Some(secret("OLD")), end: Some(Timestamp::UNIX_EPOCH), renewal: Some(renewal) }
    }

    fn told(credential: &OAuthCredential, times: usize) -> Vec<String> {
        within(&json!({ "question": "q" }), async |run| {
            let tokens = (0..times).map(|_| credential.token(run));
            let tokens = futures_util::future::join_all(tokens).await.into_iter();
            tokens
                .map(|token| token.map_or_else(|failure| format!("{failure}"), |token| token.expose().to_owned()))
                .collect()
        })
    }

    #[test]
    fn a_token_that_ends_is_renewed_once_for_all() {
        let (origin, hearing) = server(|heard| {
            let token = json!({ "access_token": "NEW", "expires_in": 3600, "token_type": "Bearer" });
            assert_eq!(heard.line, "POST /t/token?x=1");
            response("200 OK", "content-type: application/json\r\n", &token.to_string())
        });
        assert_eq!(told(&ended(&origin), 3), ["NEW", "NEW", "NEW"]);
        let heard: Vec<_> = hearing.try_iter().collect();
        let [heard] = heard.as_slice() else { panic!("{heard:?}") };
        assert!(heard.head.contains("content-type: application/x-www-form-urlencoded"), "{}", heard.head);
        let form = "client_id=client+id&client_secret=s%26s&grant_type=refresh_token&refresh_token=R1&scope=a+b";
        assert_eq!(heard.text, form);
        // One that lasts needs nobody.
        let end = Some(Timestamp::now().checked_add(SignedDuration::from_mins(6)).unwrap());
        assert_eq!(told(&OAuthCredential { end, ..ended("http://127.0.0.1:1") }, 1), ["OLD"]);
        assert_eq!(told(&OAuthCredential { end: None, ..ended("http://127.0.0.1:1") }, 1), ["OLD"]);
    }

    #[test]
    fn the_next_one_is_had_with_what_the_last_came_with() {
        let (origin, hearing) = server(|_| {
            // It ends before it is used.
            let token = json!({ "access_token": "NEW", "expires_in": "200", "refresh_token": "R2" });
            response("200 OK", "", &token.to_string())
        });
        assert_eq!(told(&ended(&origin), 2), ["NEW", "NEW"]);
        let forms: Vec<String> = hearing.try_iter().map(|heard| heard.text).collect();
        assert!(forms[0].contains("refresh_token=R1&") && forms[1].contains("refresh_token=R2&"), "{forms:?}");
    }

    #[test]
    fn who_says_no_is_not_asked_again_at_once_and_nothing_secret_is_told() {
        let (origin, hearing) = server(|_| {
            response("400 Bad Request", "", "{\"error\":\"invalid_grant\",\"error_description\":\"R1 was revoked\"}")
        });
        let words = "Failed to refresh access token: Failed to refresh token: 400 Bad Request - [key] was revoked. Please \
                     re-authorize the credential.";
        assert_eq!(told(&ended(&origin), 2), [words, words]);
        assert_eq!(hearing.try_iter().count(), 1);
        let alone = OAuthCredential { renewal: None, ..ended(&origin) };
        let words = "Access token is expired and no refresh token is available. Please re-authorize the credential.";
        assert_eq!(told(&alone, 1), [words]);
        let none = OAuthCredential { access: None, ..alone };
        assert_eq!(told(&none, 1), ["No access token found in credential"]);
        assert!(!format!("{:?}", ended(&origin)).contains("R1"));
    }
}
