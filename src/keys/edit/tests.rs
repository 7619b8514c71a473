use proptest::prelude::*;

use super::*;
use crate::keys::terms::Details;
use crate::keys::{Key, secret};

const FILE: &str = "\
# head

keys: # all of them
  # the app
  - id: app   # in the store
    # made by anna
    sha256: 5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8 # first
    plan: partner

  # the other one
  - sha256: 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b
    id: other-app
    previous:
      sha256: d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35
      until: 2026-12-01T00:00:00Z
    vars: { text: \"# no comment\" }

# end
";

const APP: &str = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";
const NEW: &str = "4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce";

fn read(text: &str) -> Vec<KeyEntry> {
    file::read(Path::new("keys.yaml"), text, None).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn entry(id: &str) -> KeyEntry {
    let digest = secret::digest("3");
    KeyEntry { at: None, plan: None, key: Key::new(id, digest) }
}

fn rotated(old: &KeyEntry) -> KeyEntry {
    let mut new = old.clone();
    new.key.set_previous(Some((old.key.digest, "2027-01-01T00:00:00Z".parse().unwrap())));
    new.key.digest = secret::digest("3");
    new
}

fn edit(text: &str, change: &Change) -> String {
    apply(text, &read(text), change).unwrap()
}

#[test]
fn a_new_key_goes_to_the_end_of_the_list() {
    let new = edit(FILE, &Change::Append(entry("new")));
    let item = format!("  - id: new\n    sha256: {NEW}\n");
    assert_eq!(new, FILE.replace("\n# end\n", &format!("{item}\n# end\n")));
}

#[test]
fn a_rotation_touches_two_lines() {
    let new = edit(FILE, &Change::Replace(0, rotated(&read(FILE)[0])));
    let lines = format!("sha256: {NEW} # first\n    previous: {{ sha256: {APP}, until: 2027-01-01T00:00:00Z }}\n");
    assert_eq!(new, FILE.replace(&format!("sha256: {APP} # first\n"), &lines));
}

#[test]
fn a_first_field_and_one_of_several_lines_are_replaced() {
    let old = read(FILE)[1].clone();
    let new = edit(FILE, &Change::Replace(1, rotated(&old)));
    assert!(
        new.contains(&format!("\n  - sha256: {NEW}\n    id: other-app\n    previous: {{ sha256: 6b86b273")),
        "{new}"
    );
    assert!(new.contains("until: 2027-01-01T00:00:00Z }\n    vars:"), "{new}");
    let mut dropped = old;
    dropped.key.set_previous(None);
    let new = edit(FILE, &Change::Replace(1, dropped));
    assert!(new.contains("    id: other-app\n    vars:"), "{new}");
}

#[test]
fn revoking_adds_a_line_or_changes_it() {
    let mut off = read(FILE)[0].clone();
    off.key.enabled = false;
    let new = edit(FILE, &Change::Replace(0, off.clone()));
    assert_eq!(new, FILE.replace("# first\n", "# first\n    enabled: false\n"));
    let on = FILE.replace("# first\n", "# first\n    enabled: true # for now\n");
    assert_eq!(edit(&on, &Change::Replace(0, off)), on.replace("true # for now", "false # for now"));
}

#[test]
fn deleting_leaves_the_others() {
    let new = edit(FILE, &Change::Remove(0));
    let (before, after) = (FILE.find("  - id: app").unwrap(), FILE.find("\n  # the other one").unwrap());
    assert_eq!(new, [&FILE[..before], &FILE[after..]].concat());
    let new = edit(FILE, &Change::Remove(1));
    assert!(new.ends_with("  # the other one\n\n# end\n") && new.contains("# made by anna"), "{new}");
}

#[test]
fn windows_line_ends_and_a_missing_last_one_are_kept_up_with() {
    let text = FILE.replace('\n', "\r\n");
    let new = edit(&text, &Change::Append(entry("new")));
    assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
    let text = format!("keys:\n- id: a\n  sha256: {APP}");
    assert_eq!(edit(&text, &Change::Append(entry("b"))), format!("{text}\n- id: b\n  sha256: {NEW}\n"));
}

#[test]
fn a_blank_file_gets_a_list() {
    let new = edit("# head\n", &Change::Append(entry("a")));
    assert_eq!(new, format!("# head\nkeys:\n  - id: a\n    sha256: {NEW}\n"));
}

#[test]
fn what_is_not_written_in_lines_is_written_anew() {
    let second = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
    for text in [
        format!("# head\nkeys: [{{ id: a, sha256: {APP}, vars: {{ n: 1 }} }}, {{ id: b, sha256: {second} }}]\n"),
        format!(
            "# head\n{{ \"keys\": [{{ \"id\": \"a\", \"sha256\": \"{APP}\" }}, {{ \"id\": \"b\", \"sha256\": \"{second}\" }}] }}\n"
        ),
        format!("# head\nkeys:\n  -\n    id: a\n    sha256: {APP}\n  -\n    id: b\n    sha256: {second}\n"),
        format!(
            "# head\nkeys:\n  - \"id\": a\n    \"sha256\": {APP}\n  - id: b\n    sha256: {second}\n    \"previous\": {{ sha256: {}, until: 2026-12-01T00:00:00Z }}\n",
            "ab".repeat(32)
        ),
    ] {
        let entries = read(&text);
        for index in [0, 1] {
            let new = edit(&text, &Change::Replace(index, rotated(&entries[index])));
            assert!(new.starts_with("# head\nkeys:\n  - id"), "{new}");
            assert!(
                read(&new)[index].means(&rotated(&entries[index])) && read(&new)[1 - index].means(&entries[1 - index])
            );
            let new = edit(&text, &Change::Remove(index));
            assert!(read(&new).len() == 1 && read(&new)[0].means(&entries[1 - index]));
        }
        assert_eq!(read(&edit(&text, &Change::Append(entry("c")))).len(), 3);
    }
    assert_eq!(read(&edit("keys: []\n", &Change::Append(entry("c")))).len(), 1);
}

#[test]
fn lines_that_only_look_like_fields_are_no_fields() {
    let text = format!(
        "keys:\n  - id: a\n    vars:\n      text: |\n        enabled: true\n        # no comment\n      sha256: x\n    sha256: {APP}\n"
    );
    let mut off = read(&text)[0].clone();
    off.key.enabled = false;
    assert_eq!(edit(&text, &Change::Replace(0, off)), format!("{text}    enabled: false\n"));
}

#[test]
fn a_digest_that_looks_like_a_number_is_quoted() {
    let mut new = entry("a");
    new.key.digest = [0x12; 32];
    assert!(edit("", &Change::Append(new)).contains("sha256: \"1212"));
}

proptest! {
    #[test]
    fn any_key_survives_being_written(
        id in "[A-Za-z0-9._-]{1,64}",
        plan in proptest::option::of("\\PC{0,20}"),
        chatflows in proptest::option::of(proptest::collection::vec("[^*]\\PC{0,20}|[\\x00-\\xff\u{2028}\u{feff}\u{85}]{2,5}", 1..4)),
        name in any::<String>(),
        value in any::<String>(),
        number in any::<i64>(),
        bytes: [u8; 32],
        seconds in 0i64..4_000_000_000,
        enabled: bool,
    ) {
        prop_assume!(file::check_id(&id).is_ok() && bytes != [0xab; 32]);
        let time = jiff::Timestamp::from_second(seconds).unwrap();
        let mut new = entry(&id);
        new.plan = plan.map(Into::into);
        new.key.digest = bytes;
        new.key.chatflows = chatflows.map(|names| names.into_iter().map(Into::into).collect());
        let vars = serde_json::Map::from_iter([(name, value.into()), ("number".to_owned(), number.into())]);
        new.key.vars = vars.into_iter().map(|(name, value)| (name.into(), value)).collect();
        new.key.set_details(Details {
            previous: Some(([0xab; 32], time)),
            allowed_ips: vec!["10.0.0.0/8".parse().unwrap(), "fe80::/10".parse().unwrap()],
            ..Details::default()
        });
        new.key.expires_at = Some(time);
        new.key.enabled = enabled;
        let text = format!("keys:\n  - id: a..\n    sha256: {}\n", "cd".repeat(32));
        let edited = apply(&text, &read(&text), &Change::Append(new.clone()));
        prop_assert!(edited.is_ok(), "{}", item(&new, 2, "\n").concat());
        prop_assert!(edited.unwrap().starts_with(&text));
    }
}
