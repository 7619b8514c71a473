//! Who calls with a token of an identity provider, and what its claims give.
//!
//! A provider is asked by the token's issuer; that the issuer has signed it, [`jwt`](crate::jwt) has found out.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Policy;
use crate::config::{ChatflowGrant, ClaimPath, IdentityProvider, PlanGrant};
use crate::jwt::{SignedClaims, TokenFault, Untrusted};
use crate::keys::token::is_name;
use crate::predict::json::is_file_reference;
use crate::uuid::is_uuid;

/// Seconds by which two clocks may differ.
const SKEW: f64 = 30.0;
/// Chatflows that a claim names.
const MOST_CHATFLOWS: usize = 1000;
/// Bytes of a variable's text.
const LONGEST_VARIABLE: usize = 1024;
/// Claims whose text is a list of words (RFC 8693, section 4.2; Microsoft's name for it).
const LISTS_OF_WORDS: [&str; 2] = ["scope", "scp"];

/// Somebody whom an identity provider vouches for.
#[derive(Clone, PartialEq)]
pub(crate) struct Person {
    /// Index of the provider in [`Config::identity`](crate::config::Config::identity).
    pub(crate) identity: u32,
    pub(crate) subject: Box<str>,
    /// Index of the plan, whose limits are the subject's own.
    pub(crate) plan: usize,
    /// By their names; the wildcard's by their ids.
    pub(crate) chatflows: Arc<[Arc<str>]>,
    /// Forced into `overrideConfig.vars`.
    pub(crate) vars: Map<String, Value>,
    /// Seconds since the epoch at which the token counts no more.
    pub(crate) until: i64,
}

impl std::fmt::Debug for Person {
    /// Without what the provider says of it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// Why nobody calls, and the claim that it hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PersonFault {
    pub(crate) fault: TokenFault,
    pub(crate) claim: Option<Box<str>>,
}

impl From<TokenFault> for PersonFault {
    fn from(fault: TokenFault) -> Self {
        Self { fault, claim: None }
    }
}

impl PersonFault {
    fn by(fault: TokenFault, ClaimPath(claim): &ClaimPath) -> Self {
        Self { fault, claim: Some(claim.clone()) }
    }
}

impl Policy {
    pub(crate) fn has_identity_providers(&self) -> bool {
        !self.config.identity.is_empty()
    }

    /// The providers whose token it may be, each with its index.
    pub(crate) fn providers_of(&self, token: &Untrusted<'_>) -> impl Iterator<Item = (u32, &Arc<IdentityProvider>)> {
        let issuer = token.issuer();
        let has_issued =
            move |provider: &IdentityProvider| provider.issuer.is_none() || provider.issuer.as_deref() == issuer;
        (0..).zip(&self.config.identity).filter(move |(_, provider)| has_issued(provider))
    }

    /// Whom a provider's token is for at that time, in seconds since the epoch.
    pub(crate) fn person(&self, identity: u32, claims: SignedClaims<'_>, now: i64) -> Result<Person, PersonFault> {
        let provider = self.config.identity.get(identity as usize).ok_or(TokenFault::Issuer)?;
        let until = until(claims, now)?;
        if !is_for(claims, &provider.audience) {
            return Err(TokenFault::Audience.into());
        }
        if claims.get("cnf").is_some() {
            return Err(TokenFault::Bound.into());
        }
        let subject = find(claims, &provider.subject).and_then(Value::as_str).filter(|subject| is_name(subject));
        let subject = subject.ok_or_else(|| PersonFault::by(TokenFault::Subject, &provider.subject))?;
        let lacking = provider.require.iter().find(|(claim, wanted)| !holds(claims, claim, wanted));
        if let Some((claim, _)) = lacking {
            return Err(PersonFault::by(TokenFault::Required, claim));
        }
        Ok(Person {
            identity,
            subject: subject.into(),
            plan: self.plan_by(claims, &provider.plan)?,
            chatflows: chatflows(claims, &provider.chatflows)?,
            vars: variables(claims, &provider.vars)?,
            until,
        })
    }

    /// A plan that is not there is not taken for another: limits would be those of somebody else.
    fn plan_by(&self, claims: SignedClaims<'_>, grant: &PlanGrant) -> Result<usize, PersonFault> {
        let (claim, otherwise) = match grant {
            PlanGrant::Fixed(plan) => return Ok(*plan),
            PlanGrant::Claim { claim, otherwise } => (claim, otherwise),
        };
        let plan = match find(claims, claim) {
            None | Some(Value::Null) => *otherwise,
            Some(named) => self.config.plans.iter().position(|plan| *named == *plan.name),
        };
        plan.ok_or_else(|| PersonFault::by(TokenFault::Plan, claim))
    }

    /// Indices of the plans that people of identity providers may have.
    pub(crate) fn plans_for_people(&self) -> Vec<usize> {
        let plans = self.config.identity.iter().flat_map(|provider| match &provider.plan {
            PlanGrant::Fixed(plan) => *plan..plan + 1,
            PlanGrant::Claim { .. } => 0..self.config.plans.len(),
        });
        plans.collect()
    }
}

impl Person {
    /// Whether it may call the chatflow of that name.
    pub(super) fn may_call(&self, chatflow: &str) -> bool {
        self.chatflows.iter().any(|name| **name == *chatflow)
    }
}

/// RFC 7519, sections 4.1.4 and 4.1.5; times may have fractions.
fn until(claims: SignedClaims<'_>, now: i64) -> Result<i64, TokenFault> {
    #[expect(clippy::cast_precision_loss, reason = "seconds since the epoch are far below 2^52")]
    let now = now as f64;
    let time = |value: &Value| value.as_f64().filter(|time| time.abs() < 1e12).ok_or(TokenFault::Times);
    let end = time(claims.get("exp").ok_or(TokenFault::Times)?)? + SKEW;
    if end <= now {
        return Err(TokenFault::Expired);
    }
    if let Some(start) = claims.get("nbf")
        && time(start)? - SKEW > now
    {
        return Err(TokenFault::NotYet);
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 10^12")]
    Ok(end.floor() as i64)
}

/// RFC 7519, section 4.1.3.
fn is_for(claims: SignedClaims<'_>, audience: &[Box<str>]) -> bool {
    let is_ours = |text: &str| audience.iter().any(|ours| **ours == *text);
    match claims.get("aud") {
        Some(Value::String(text)) => is_ours(text),
        Some(Value::Array(texts)) => {
            texts.iter().all(Value::is_string) && texts.iter().filter_map(Value::as_str).any(is_ours)
        }
        _ => false,
    }
}

/// A claim of that very name, or one inside others.
fn find<'a>(claims: SignedClaims<'a>, ClaimPath(path): &ClaimPath) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        let mut names = path.split('.');
        let first = claims.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    })
}

fn holds(claims: SignedClaims<'_>, claim: &ClaimPath, wanted: &[Value]) -> bool {
    match find(claims, claim) {
        Some(Value::Array(values)) => values.iter().any(|value| wanted.contains(value)),
        Some(Value::String(text)) if is_list_of_words(claim) => {
            text.split(' ').any(|word| wanted.iter().any(|wanted| *wanted == *word))
        }
        Some(value) => wanted.contains(value),
        None => false,
    }
}

fn is_list_of_words(ClaimPath(path): &ClaimPath) -> bool {
    LISTS_OF_WORDS.contains(&&**path)
}

fn chatflows(claims: SignedClaims<'_>, grant: &ChatflowGrant) -> Result<Arc<[Arc<str>]>, PersonFault> {
    let claim = match grant {
        ChatflowGrant::Listed(names) => return Ok(Arc::clone(names)),
        ChatflowGrant::Claim(claim) => claim,
    };
    // A UUID behind "*" is known in small letters.
    let known = |name: &str| if is_uuid(name) { Arc::from(name.to_ascii_lowercase()) } else { Arc::from(name) };
    let granted = match find(claims, claim) {
        Some(Value::String(text)) if is_list_of_words(claim) => Some(text.split(' ').map(known).collect::<Arc<[_]>>()),
        Some(Value::String(text)) => Some([known(text)].into()),
        Some(Value::Array(listed)) => listed.iter().map(|name| name.as_str().map(known)).collect(),
        _ => None,
    };
    let granted = granted.filter(|granted| granted.len() <= MOST_CHATFLOWS);
    granted.ok_or_else(|| PersonFault::by(TokenFault::Chatflows, claim))
}

/// All of them: one that is not forced could be the client's.
fn variables(claims: SignedClaims<'_>, vars: &[(Box<str>, ClaimPath)]) -> Result<Map<String, Value>, PersonFault> {
    let is_plain = |value: &&Value| match value {
        Value::String(text) => text.len() <= LONGEST_VARIABLE && !is_file_reference(text),
        Value::Bool(_) | Value::Number(_) => true,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    let variable = |(name, claim): &(Box<str>, ClaimPath)| {
        let value = find(claims, claim).filter(is_plain);
        let value = value.ok_or_else(|| PersonFault::by(TokenFault::Variables, claim))?;
        Ok((name.to_string(), value.clone()))
    };
    vars.iter().map(variable).collect()
}
