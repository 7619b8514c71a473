//! What is got with a key for a while, and got again before it ends.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde_json::Value;

use super::connection::Headers;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::provider::{ProviderCall, ProviderEndpoint};
use crate::engine::text::header::secret_header;
use crate::engine::text::percent::pairs;

/// So long before its end it is not used any more.
const BEFORE_END: Duration = Duration::from_mins(5);
/// The longest that anything is kept.
const LONGEST: Duration = Duration::from_hours(12);
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// See the module. Two that find none at once get one each.
pub(crate) struct ExpiringCache<T>(Mutex<Option<(T, Instant)>>);

impl<T> Default for ExpiringCache<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> fmt::Debug for ExpiringCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExpiringCache")
    }
}

impl<T: Clone> ExpiringCache<T> {
    pub(crate) fn get(&self) -> Option<T> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().filter(|(_, end)| Instant::now() < *end).map(|(held, _)| held.clone())
    }

    /// Keeps it for so long.
    pub(crate) fn keep(&self, held: T, time: Duration) {
        let end = Instant::now() + time.min(LONGEST).saturating_sub(BEFORE_END);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((held, end));
    }
}

/// Who gives out bearer tokens, in `OAuth`'s way.
#[derive(Debug)]
pub(crate) struct TokenSource {
    pub(crate) endpoint: ProviderEndpoint,
    /// Below the endpoint.
    pub(crate) path: &'static str,
    held: ExpiringCache<HeaderValue>,
}

impl TokenSource {
    pub(crate) fn new(endpoint: ProviderEndpoint, path: &'static str) -> Self {
        Self { endpoint, path, held: ExpiringCache::default() }
    }

    /// The header with a token, which is asked for with that form if none is held.
    pub(crate) async fn headers(
        &self,
        form: impl FnOnce() -> Result<Vec<(&'static str, String)>, Failure>,
        run: &Run<'_>,
    ) -> Result<Headers, Failure> {
        if let Some(held) = self.held.get() {
            return Ok(vec![(AUTHORIZATION, held)]);
        }
        let body = Bytes::from(pairs(&form()?));
        let headers = [(CONTENT_TYPE, FORM)];
        let call = ProviderCall { method: Method::POST, path: self.path, headers: &headers, body };
        let answer = self.endpoint.send(call, run).await.map_err(|failure| failure.within("token"))?.json().await?;
        let unusable = || Failure::Unreachable("The provider gave no token.".to_owned());
        let token = answer.get("access_token").and_then(Value::as_str).ok_or_else(unusable)?;
        let header = secret_header(&format!("Bearer {token}")).map_err(|_| unusable())?;
        let seconds = answer.get("expires_in").and_then(Value::as_u64).unwrap_or_default();
        self.held.keep(header.clone(), Duration::from_secs(seconds));
        Ok(vec![(AUTHORIZATION, header)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_to_end_is_not_used() {
        let lease = ExpiringCache::default();
        assert_eq!(lease.get(), None::<u8>);
        lease.keep(1, Duration::from_mins(4));
        assert_eq!(lease.get(), None);
        lease.keep(2, Duration::from_mins(6));
        assert_eq!(lease.get(), Some(2));
    }
}
