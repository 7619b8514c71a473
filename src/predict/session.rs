//! Keeps callers' chats apart: what a client calls a chat and what Flowise calls it differ.
//!
//! Flowise lets whoever names a chat read, continue and abort it. So each caller has a namespace of its own: Flowise's
//! id of a chat is a keyed hash of the caller and of the client's id. It is a UUID, whatever the client's id was, so it
//! can stand in a path. Nothing is stored: the same caller gets the same chat again, after a restart and on every
//! replica.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::hmac;

use crate::uuid::uuid;

/// Sets these keys apart from whatever else a secret may be used for.
const LABEL: &[u8] = b"flowgate: ids of chats\0";

/// Bytes of a chat or session id of a client.
pub(crate) const LONGEST_ID: usize = 256;

/// Bytes that most callers take in what is hashed.
const MOST_CALLERS: usize = 64;

/// Whose chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope<'a> {
    /// A secret key: one application.
    Key(&'a str),
    /// A session token: one of an application's users.
    Token { key: &'a str, subject: &'a str },
    /// Somebody whom an identity provider vouches for.
    Person { identity: &'a str, subject: &'a str },
    /// A publishable key, used by whoever has the page.
    Visitor { key: &'a str, address: IpAddr },
    /// Nobody in particular.
    Address(IpAddr),
}

/// What the hash of a chatflow's callers and ids is keyed with.
///
/// It comes from the operator's secret, or without one from Flowise's id of the chatflow, which
/// clients know only where it is the name that they call it by.
#[derive(Debug)]
pub(crate) struct SessionKey {
    secret: hmac::Key,
    /// Made beforehand; `None` for the wildcard, whose id each request brings.
    chatflow: Option<Arc<hmac::Key>>,
}

impl SessionKey {
    /// `chatflow`: its id, where there is one only.
    pub(crate) fn new(secret: Option<&str>, chatflow: Option<&str>) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.map_or(LABEL, str::as_bytes));
        let chatflow = chatflow.map(|id| Arc::new(derived(&secret, id)));
        Self { secret, chatflow }
    }

    /// `chatflow`: the id of the one that was called.
    pub(crate) fn of(&self, chatflow: &str) -> Arc<hmac::Key> {
        self.chatflow.clone().unwrap_or_else(|| Arc::new(derived(&self.secret, chatflow)))
    }
}

fn derived(secret: &hmac::Key, chatflow: &str) -> hmac::Key {
    let mut context = hmac::Context::with_key(secret);
    context.update(LABEL);
    context.update(chatflow.as_bytes());
    hmac::Key::new(hmac::HMAC_SHA256, context.sign().as_ref())
}

/// One caller's namespace on one chatflow. Small, since it goes with a request; a hash that has begun takes 700 bytes.
pub(crate) struct Namespace {
    key: Arc<hmac::Key>,
    /// What is hashed before the client's id.
    caller: Vec<u8>,
}

impl Namespace {
    pub(crate) fn new(key: Arc<hmac::Key>, scope: Scope<'_>) -> Self {
        let mut caller = Vec::with_capacity(MOST_CALLERS);
        // Each part with its length, so that no two callers are written alike.
        let mut part = |bytes: &[u8]| {
            caller.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
            caller.extend_from_slice(bytes);
        };
        match scope {
            Scope::Key(key) => [b"key", key.as_bytes()].into_iter().for_each(&mut part),
            Scope::Token { key, subject } => {
                [b"token", key.as_bytes(), subject.as_bytes()].into_iter().for_each(&mut part);
            }
            Scope::Person { identity, subject } => {
                [b"person", identity.as_bytes(), subject.as_bytes()].into_iter().for_each(&mut part);
            }
            Scope::Visitor { key, address } => {
                [b"visitor", key.as_bytes(), &network(address)].into_iter().for_each(&mut part);
            }
            Scope::Address(address) => [b"address".as_slice(), &network(address)].into_iter().for_each(&mut part),
        }
        Self { key, caller }
    }

    /// Flowise's id of what the client calls `id`: a UUID of version 8 (RFC 9562, section 5.8).
    pub(crate) fn upstream_id(&self, id: &str) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&self.caller);
        context.update(id.as_bytes());
        let tag = context.sign();
        let mut bytes = [0_u8; 16];
        bytes.iter_mut().zip(tag.as_ref()).for_each(|(byte, tag)| *byte = *tag);
        uuid(u128::from_be_bytes(bytes), 8)
    }
}

/// An IPv4 address, or the /64 that one IPv6 subscriber usually holds.
fn network(address: IpAddr) -> [u8; 16] {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => (u128::from(v6) & !u128::from(u64::MAX)).to_be_bytes(),
    }
}

/// An id as the client and as Flowise know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) client: String,
    pub(crate) upstream: String,
}

impl Pair {
    /// Without a namespace both are the client's.
    pub(crate) fn new(client: String, namespace: Option<&Namespace>) -> Self {
        let upstream = namespace.map_or_else(|| client.clone(), |namespace| namespace.upstream_id(&client));
        Self { client, upstream }
    }
}

/// The ids of one prediction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChatIds {
    pub(crate) chat: Pair,
    /// Nobody named a chat: it begins here.
    pub(crate) is_new: bool,
    /// The memory's, if it is named apart from the chat. Else Flowise takes the chat's, and says so in its answer.
    pub(crate) session: Option<Pair>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chatflows_have_keys_of_their_own() {
        let id =
            |key: &SessionKey, chatflow: &str| Namespace::new(key.of(chatflow), Scope::Key("a")).upstream_id("chat");
        let named = |secret, chatflow| id(&SessionKey::new(secret, Some(chatflow)), chatflow);
        assert_ne!(named(None, "one"), named(None, "two"));
        assert_ne!(named(Some("secret"), "one"), named(Some("secret"), "two"));
        assert_ne!(named(Some("secret"), "one"), named(Some("other"), "one"));
        assert_ne!(named(Some("secret"), "one"), named(None, "one"));
        // A chatflow may get an entry of its own without losing its chats.
        assert_eq!(id(&SessionKey::new(None, None), "one"), named(None, "one"));
        assert_eq!(id(&SessionKey::new(Some("secret"), None), "one"), named(Some("secret"), "one"));
    }

    fn id(scope: Scope<'_>, id: &str) -> String {
        Namespace::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, b"secret")), scope).upstream_id(id)
    }

    #[test]
    fn a_caller_finds_its_chat_again_and_nobody_elses() {
        let address = |text: &str| Scope::Address(text.parse().unwrap());
        let ours = id(Scope::Key("a"), "chat");
        assert_eq!(ours, id(Scope::Key("a"), "chat"));
        let others = [
            id(Scope::Key("a"), "chat2"),
            id(Scope::Key("b"), "chat"),
            id(Scope::Token { key: "a", subject: "" }, "chat"),
            id(Scope::Token { key: "a", subject: "chat" }, ""),
            id(Scope::Token { key: "", subject: "a" }, "chat"),
            id(Scope::Person { identity: "a", subject: "" }, "chat"),
            id(Scope::Person { identity: "a", subject: "chat" }, ""),
            id(Scope::Visitor { key: "a", address: "192.0.2.1".parse().unwrap() }, "chat"),
            id(address("192.0.2.1"), "chat"),
            id(address("192.0.2.2"), "chat"),
            id(address("2001:db8::1"), "chat"),
            // Somebody who has seen Flowise's id gains nothing by sending it.
            id(Scope::Key("b"), &ours),
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(*other, ours);
            assert!(!others[..index].contains(other), "{index}");
        }
        assert_eq!(id(address("2001:db8::1"), "chat"), id(address("2001:db8::ffff"), "chat"));
        assert_ne!(id(address("2001:db8::1"), "chat"), id(address("2001:db8:0:1::1"), "chat"));
    }

    #[test]
    fn upstream_ids_are_uuids() {
        let id = id(Scope::Key("a"), "../../etc/passwd");
        assert_eq!((id.len(), &id[14..15]), (36, "8"));
        assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'));
    }
}
