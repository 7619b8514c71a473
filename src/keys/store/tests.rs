use super::*;
use crate::keys::secret;

fn key(id: &str) -> Key {
    Key::new(id, secret::digest(id))
}

fn store<const N: usize>(keys: [Key; N]) -> KeyStore {
    keys.into_iter().collect()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn a_key_is_found_by_its_digest_only() {
    let store = store([key("a"), key("b")]);
    let found = store.find(&secret::digest("b"), || at(0)).unwrap();
    assert_eq!(found, FoundKey { index: 1, slot: SecretSlot::Current });
    assert_eq!(&*store.key(1).unwrap().id, "b");
    assert!(store.key(2).is_none());
    assert_eq!(store.find(&secret::digest("c"), || at(0)), Err(Denied::Unknown));
    let mut near = secret::digest("a");
    near[31] ^= 1;
    assert_eq!(store.find(&near, || at(0)), Err(Denied::Unknown));
}

#[test]
fn the_dummy_is_no_key() {
    assert_eq!(store([key("a")]).find(&[0; 32], || at(0)), Err(Denied::Unknown));
    assert_eq!(KeyStore::default().find(&[0; 32], || at(0)), Err(Denied::Unknown));
}

#[test]
fn digests_with_a_common_prefix_are_told_apart() {
    let (mut one, mut other) = (key("a"), key("b"));
    (one.digest, other.digest) = ([7; 32], [7; 32]);
    other.digest[31] = 8;
    let store = store([one, other.clone()]);
    assert_eq!(store.find(&other.digest, || at(0)).unwrap().index, 1);
    assert_eq!(store.find(&[7; 32], || at(0)).unwrap().index, 0);
}

#[test]
fn the_old_secret_counts_until_its_time() {
    let rotated = key("new").with(|terms| terms.set_previous(Some((secret::digest("old"), at(100)))));
    let store = store([rotated]);
    let found = store.find(&secret::digest("old"), || at(99)).unwrap();
    assert_eq!(found, FoundKey { index: 0, slot: SecretSlot::Previous });
    assert_eq!(store.find(&secret::digest("old"), || at(100)), Err(Denied::Expired));
    assert_eq!(store.find(&secret::digest("new"), || at(100)).unwrap().slot, SecretSlot::Current);
}

#[test]
fn disabled_and_expired_keys_are_denied_with_both_secrets() {
    let previous = Some((secret::digest("old"), at(1000)));
    let disabled = key("disabled").with(|terms| {
        terms.enabled = false;
        terms.set_previous(previous);
    });
    let expired = key("expired").with(|terms| terms.expires_at = Some(at(100)));
    let store = store([disabled, expired, key("active")]);
    assert_eq!(store.find(&secret::digest("disabled"), || at(0)), Err(Denied::Disabled));
    assert_eq!(store.find(&secret::digest("old"), || at(0)), Err(Denied::Disabled));
    assert!(store.find(&secret::digest("expired"), || at(99)).is_ok());
    assert_eq!(store.find(&secret::digest("expired"), || at(100)), Err(Denied::Expired));
    assert_eq!(store.counts(at(99)), KeyCounts { active: 2, expired: 0, disabled: 1 });
    assert_eq!(store.counts(at(100)), KeyCounts { active: 1, expired: 1, disabled: 1 });
}

#[test]
fn no_digest_is_printed() {
    let key = Key { digest: [171; 32], ..key("a") }.with(|terms| terms.set_previous(Some(([205; 32], at(0)))));
    let printed = format!("{:?} {key:?}", store([key.clone()]));
    assert!(printed.contains("\"a\""));
    assert!(!printed.contains("171") && !printed.contains("205"), "{printed}");
}

#[test]
fn of_many_keys_each_is_found_by_its_digest_and_by_its_id() {
    let keys = (0..3000).map(|number| key(&format!("key-{number}")));
    let store: KeyStore = keys.collect();
    for (index, key) in store.keys().iter().enumerate() {
        assert_eq!(store.find(&key.digest, || at(0)), Ok(FoundKey { index, slot: SecretSlot::Current }));
        assert_eq!(store.by_id(&key.id).unwrap().0, index);
    }
    assert!(store.by_id("key-3000").is_none());
    assert!(size_of::<Key>() <= 56, "a key takes little room");
}

#[test]
fn what_is_written_takes_away_and_gives_nothing() {
    let digest = secret::digest;
    let before = store([key("gone"), key("off"), key("moved"), key("same"), key("late"), key("rotated"), key("wide")]);
    let written = store([
        key("off").with(|terms| terms.enabled = false),
        Key { digest: digest("other"), ..key("moved") },
        key("same"),
        key("late").with(|terms| terms.expires_at = Some(at(50))),
        Key { digest: digest("next"), ..key("rotated") }
            .with(|terms| terms.set_previous(Some((digest("rotated"), at(70))))),
        key("wide").with(|terms| {
            terms.upsert = true;
            terms.chatflows = Some(["other".into()].into());
        }),
        key("new"),
    ]);
    let after = before.without_revoked(&written.keys().iter().collect());
    let state = |id: &str, now| after.find(&digest(id), || at(now)).map(|_| ());
    for gone in ["gone", "moved", "other", "next", "new"] {
        assert_eq!(state(gone, 0), Err(Denied::Unknown), "{gone}");
    }
    assert_eq!(state("off", 0), Err(Denied::Disabled));
    assert_eq!([state("same", 99), state("late", 49), state("rotated", 69), state("wide", 99)], [Ok(()); 4]);
    assert_eq!([state("late", 50), state("rotated", 70)], [Err(Denied::Expired); 2]);
    let (_, wide) = after.by_id("wide").unwrap();
    assert!(!wide.upsert && wide.may_call("support"), "what else is new waits");
}

#[test]
fn keys_move_under_another_configuration_or_say_what_is_missing() {
    fn names(plans: &[Arc<str>]) -> AllowedNamesRef<'_> {
        AllowedNamesRef { plans, chatflows: &[], providers: &[], wildcard: false }
    }
    let before = store([key("a").with(|terms| terms.plan = 1), key("b")]);
    let plans = ["default".into(), "gold".into()];
    let moved = before.under(&plans, &names(&["gold".into(), "default".into()])).unwrap();
    assert_eq!(moved.keys().iter().map(|key| key.plan).collect::<Vec<_>>(), [0, 1]);
    let missing = before.under(&plans, &names(&["default".into()])).unwrap_err();
    assert_eq!(missing, Unknown { key: "a".into(), what: "plan", name: "gold".into() });
    let narrow = store([key("a").with(|terms| terms.chatflows = Some(["x".into()].into()))]);
    assert_eq!(narrow.under(&plans, &names(&plans)).unwrap_err().what, "chatflow");
}
