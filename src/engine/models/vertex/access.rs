//! Who asks Google: a service account, whose key signs for a token.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::models::connection::{self, Headers};
use crate::engine::models::tokens::TokenSource;
use crate::wire::json;

pub(crate) const CREDENTIAL: &str = "googleVertexAuth";
const ACCOUNT: &str = "googleApplicationCredential";
const TOKENS: &str = "https://oauth2.googleapis.com/token";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Seconds for which a signature is good.
const GOOD_FOR: i64 = 3600;
/// Where models are, if nothing is said.
pub(crate) const REGION: &str = "us-central1";

/// A service account's file, as far as it matters.
#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: String,
    token_uri: Option<String>,
    project_id: Option<String>,
}

struct SigningKey(RsaKeyPair);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct GoogleAccess(Arc<SigningAccount>);

#[derive(Debug)]
struct SigningAccount {
    email: String,
    /// For whom signatures are.
    audience: String,
    key: SigningKey,
    tokens: TokenSource,
    project: String,
}

impl GoogleAccess {
    /// `Some(None)`: the credential is not configured, and noted as missing. `None`: a problem says what is wrong with it.
    #[expect(clippy::option_option, reason = "missing and wrong differ")]
    pub(crate) fn read(inputs: &mut Inputs<'_, '_, '_>) -> Option<Option<Self>> {
        let Some(file) = connection::wanted(inputs, CREDENTIAL, ACCOUNT) else { return Some(None) };
        let Ok(account) = json::read_str::<ServiceAccount>(file.expose()) else {
            inputs.refuse("credential", format!("expected {ACCOUNT} to be the JSON of a service account"));
            return None;
        };
        let Some(key) = key_of(&account.private_key) else {
            inputs.refuse("credential", format!("the private key in {ACCOUNT} cannot be read"));
            return None;
        };
        let project = connection::optional(inputs, CREDENTIAL, "projectID");
        let project = project.map(|project| project.expose().to_owned()).or(account.project_id).unwrap_or_default();
        if !stands_in_path(&project) {
            inputs.refuse("credential", "projectID is required, and must be a project's id");
            return None;
        }
        let audience = account.token_uri.unwrap_or_else(|| TOKENS.to_owned());
        let endpoint = connection::endpoint_at(inputs, "credential", &audience)?;
        let (email, tokens) = (account.client_email, TokenSource::new(endpoint, ""));
        Some(Some(Self(Arc::new(SigningAccount { email, audience, key, tokens, project }))))
    }

    pub(crate) fn project(&self) -> &str {
        &self.0.project
    }

    /// The header that lets in.
    pub(crate) async fn headers(&self, run: &Run<'_>) -> Result<Headers, Failure> {
        let form = || {
            let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned();
            Ok(vec![("grant_type", grant), ("assertion", self.0.assertion(Timestamp::now().as_second())?)])
        };
        self.0.tokens.headers(form, run).await
    }
}

/// What may stand in a path by itself.
pub(crate) fn stands_in_path(text: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.:@".contains(letter);
    !matches!(text, "" | "." | "..") && text.chars().all(fits)
}

/// A key in PEM, in either of the two forms.
fn key_of(pem: &str) -> Option<SigningKey> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let bytes = BASE64_STANDARD.decode(body).ok()?;
    RsaKeyPair::from_pkcs8(&bytes).or_else(|_| RsaKeyPair::from_der(&bytes)).ok().map(SigningKey)
}

impl SigningAccount {
    /// The claims, signed (RFC 7523).
    fn assertion(&self, now: i64) -> Result<String, Failure> {
        let claims =
            json!({ "iss": self.email, "scope": SCOPE, "aud": self.audience, "exp": now + GOOD_FOR, "iat": now });
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let text = format!("{}.{}", part(r#"{"alg":"RS256"}"#), part(&claims.to_string()));
        let SigningKey(key) = &self.key;
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| Failure::flow("the key of the service account cannot sign"))?;
        Ok(format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// A service account whose tokens are given out there.
#[cfg(test)]
pub(crate) fn account(token_uri: &str) -> String {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der.as_ref()));
    json!({ "type": "service_account", "project_id": "proj", "private_key": pem, "client_email": "a@b.iam",
        "token_uri": token_uri })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::models::lab::{CREDENTIALS, problems};
    use crate::engine::models::vertex::CHAT_VERTEX;

    #[test]
    fn what_is_no_account_is_refused() {
        for account in ["{}", r#"{"client_email":"a","private_key":"AAAA","project_id":"p"}"#] {
            let credential = json!({ "googleVertexAuth": { "googleApplicationCredential": account } });
            let problems = problems(&CHAT_VERTEX, json!({ "modelName": "gemini-pro", CREDENTIALS: credential }));
            assert!(problems[0].contains("input credential"), "{problems:?}");
        }
        assert!(stands_in_path("claude-sonnet-4@20250514") && !stands_in_path("a/b") && !stands_in_path(".."));
    }
}
