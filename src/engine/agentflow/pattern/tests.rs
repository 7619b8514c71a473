use serde_json::json;

use super::*;
use crate::engine::testing::within;

const SLOW: &str = r"(a|a)+\1b";

/// Of the last that one run looks for; those before may fail in their own way.
fn found_in(all: &[(&str, &str)]) -> Result<bool, String> {
    let found = within(&json!({ "question": "q" }), async |run| {
        let mut found = Ok(false);
        for (text, pattern) in all {
            found = is_found(&Arc::from(*text), (*pattern).to_owned(), run).await;
        }
        found
    });
    found.map_err(|failure| failure.to_string())
}

#[test]
fn patterns_are_found_as_the_editor_leaves_them() {
    for (text, pattern, found) in [
        ("order 12", r"\\d+", true),
        ("cat", r"\[a-c\]at", true),
        ("foobar", "foo(?=bar)", true),
        ("foo", "foo(?=bar)", false),
        ("abab", r"(ab)\\1", true),
    ] {
        assert_eq!(found_in(&[(text, &as_meant(pattern))]), Ok(found), "{pattern}");
    }
}

/// Expected: what Node says to `new RegExp(pattern).test(text)`; a pattern that it refuses is found nowhere.
#[test]
fn patterns_are_javascripts() {
    for (pattern, found, not) in [
        (r"^\d+$", "12", "١٢"),
        (r"^\w+$", "abc_1", "zażółć"),
        (r"^a\sb$", "a\u{feff}b", "a\u{85}b"),
        ("^a.b$", "aéb", "a\u{2028}b"),
        (r"\bcaf\b", "café", "cafe"),
        ("^[^]*$", "a\nb", ""),
        ("[a&&b]{3}", "a&b", "aa"),
        ("^[[a]+$", "[a", "]"),
        (r"^[\w-]+$", "a-b", "a+b"),
        (r"^[\d-x]+$", "1-x", "5y"),
        ("^{a}$", "{a}", "a"),
        ("^a{,2}$", "a{,2}", "aa"),
        ("^a{2}b{1,}c{0,1}?$", "aabb", "ab"),
        (r"^(?<y>a)\k<y>$", "aa", "ab"),
        (r"^\k<y>$", "k<y>", "y"),
        (r"^(?:(a)|b)\1c$", "bc", "ac"),
        (r"^\1(a)$", "a", "aa"),
        (r"^\101\9$", "A9", "101"),
        (r"^\x41\u0042\x4$", "ABx4", "AB4"),
        (r"^\u{3}$", "uuu", "\u{3}"),
        (r"^\cJ\0$", "\n\0", "J0"),
        (r"^\a\e\z\A\h\K\G\p{1}$", "aezAhKGp", "ae"),
        (r"^[\b\]\-]+$", "\u{8}]-", "b"),
        (r"(?<=a)b", "aab", "b"),
        ("^(?=a)*b$", "b", "ab"),
        ("a$", "a", "a\n"),
        ("^.$", "x", "😀"),
        ("^😀$", "😀", "😁"),
        ("^[😀]{2}$", "😀", "x"),
        (r"^\uD83D", "😀", "x"),
        ("^$|ß", "", "SS"),
    ] {
        // The last of each pair is not found, unless nothing is asked of it.
        assert_eq!(is_found_at_once(found, pattern, 1000), Some(true), "{pattern} in {found:?}");
        assert_eq!(
            is_found_at_once(not, pattern, 1000),
            Some(not.is_empty() && pattern == "^[^]*$"),
            "{pattern} in {not:?}"
        );
    }
    let refused = [
        "(",
        "a)",
        "[",
        "*a",
        "a**",
        "a++",
        "[z-a]",
        "a{3,2}",
        "(?i)a",
        "(?>a)",
        "(?P<n>a)",
        "(?<n>a)(?<n>b)",
        r"(?<n>a)\k<m>",
        r"\",
        "(?<=a)*b",
        r"\b+",
    ];
    for pattern in refused {
        assert_eq!(is_found_at_once("a", pattern, 1000), Some(false), "{pattern}");
    }
    assert_eq!(is_found_at_once("a", "[]", 1000), Some(false));
}

#[test]
fn a_pattern_that_takes_too_long_decides_nothing() {
    assert_eq!(found_in(&[("x", "(")]), Ok(false));
    assert!(found_in(&[("x", &"x".repeat(LONGEST + 1))]).unwrap_err().contains("too long"));
    for text in ["a".repeat(40), "a".repeat(4_000_000)] {
        assert!(found_in(&[(&text, SLOW)]).unwrap_err().contains("too many steps"));
    }
    // Those that do not look around read a text once, however long.
    assert_eq!(found_in(&[(&"a".repeat(4_000_000), "(a+)+b")]), Ok(false));
}

#[test]
fn all_patterns_of_a_run_share_one_budget() {
    let slow = "a".repeat(40);
    let ended = found_in(&[(slow.as_str(), SLOW); 100]).unwrap_err();
    assert_eq!(ended, "The flow's conditions take more steps of patterns than one run may take.");
    // What needs few steps is asked as often as one likes.
    let quick = ["foobar"; 1000].map(|text| (text, "o(?=b)"));
    assert_eq!(found_in(&quick), Ok(true));
}
