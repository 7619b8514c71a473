//! Who calls with a token of an identity provider.

use std::rc::Rc;
use std::sync::Arc;

use crate::config::IdentityProvider;
use crate::jwt::{KeySet, TokenFault, Untrusted};
use crate::policy::{Person, PersonFault};
use crate::snapshot::Local;
use crate::stack::context::TokenRefused;
use crate::state::issuer_keys::IssuerKeys;

/// What is known of a token.
pub(super) enum Vouched {
    /// By one of these keys.
    Person(Rc<Person>, Arc<KeySet>),
    /// Nobody knows whom it is for.
    Refused(TokenRefused),
    /// Its key may be one that the issuer has published since; without another reading of its keys it is refused so.
    Perhaps(KeysSeen, TokenRefused),
}

/// An issuer, and how many readings of its keys had ended when a token was looked at.
pub(super) struct KeysSeen {
    issuer: Arc<IssuerKeys>,
    readings: u64,
}

impl KeysSeen {
    /// See [`IssuerKeys::another`].
    pub(super) fn another(&self) -> Option<impl Future<Output = ()> + use<>> {
        self.issuer.another(self.readings)
    }
}

/// Asks the providers whose token it may be; the first that vouches for it counts.
pub(super) fn vouched(token: &Untrusted<'_>, snapshot: &Local, now: i64) -> Vouched {
    let mut refused = TokenRefused { identity: None, why: TokenFault::Issuer.into() };
    let mut perhaps = None;
    let mut has_signed = false;
    for (identity, provider) in snapshot.providers_of(token) {
        let issuer = snapshot.issuer(identity).map(|issuer| (issuer, issuer.readings()));
        let why = match by(token, identity, provider, snapshot, now) {
            Ok((person, keys)) => return Vouched::Person(Rc::new(person), keys),
            Err(why) => why,
        };
        if let (true, Some((issuer, readings))) = (may_be_new(&why, token), issuer) {
            perhaps.get_or_insert_with(|| KeysSeen { issuer: Arc::clone(issuer), readings });
        }
        // What the issuer has signed says most.
        if refused.identity.is_none() || (!has_signed && is_signed(&why)) {
            has_signed = is_signed(&why);
            refused = TokenRefused { identity: Some(identity), why };
        }
    }
    match perhaps {
        Some(seen) if !has_signed => Vouched::Perhaps(seen, refused),
        _ => Vouched::Refused(refused),
    }
}

/// Whom one provider vouches for.
fn by(
    token: &Untrusted<'_>,
    identity: u32,
    provider: &IdentityProvider,
    snapshot: &Local,
    now: i64,
) -> Result<(Person, Arc<KeySet>), PersonFault> {
    // Before its keys: what cannot count needs none.
    let algorithm = token.algorithm()?;
    if !provider.algorithms.contains(&algorithm) {
        return Err(TokenFault::Algorithm.into());
    }
    let keys = snapshot.issuer_keys(identity).ok_or(TokenFault::NoKeys)?;
    let person = snapshot.person(identity, token.signed(&keys, &provider.algorithms)?, now)?;
    Ok((person, keys))
}

/// Whether the issuer may have published a key since that the token is signed with.
fn may_be_new(why: &PersonFault, token: &Untrusted<'_>) -> bool {
    match why.fault {
        TokenFault::UnknownKey | TokenFault::NoKeys => true,
        TokenFault::Signature => token.key_id().is_none(),
        _ => false,
    }
}

fn is_signed(why: &PersonFault) -> bool {
    !why.fault.is_guess() && why.fault != TokenFault::NoKeys
}
