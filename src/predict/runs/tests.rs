use proptest::prelude::*;

use super::*;

fn measured(text: &str, most: usize) -> Result<u64, LongRun> {
    measure(text, LetterRunLimit::new(most), 0)
}

#[test]
fn each_class_is_a_run_of_its_own() {
    for (text, run) in [
        ("aaaaaaaaa", LongRun::Letters),
        ("aaaaäääää", LongRun::Letters),
        ("aaaaa\u{301}\u{301}\u{301}\u{301}", LongRun::Letters),
        ("123456789", LongRun::Digits),
        ("=========", LongRun::Signs),
        ("====\n\n\n\n\n", LongRun::Signs),
        ("====\n/\n/\n", LongRun::Signs),
        ("😀😀😀😀😀", LongRun::Signs),
        ("\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}", LongRun::Signs),
        ("         ", LongRun::Space),
        ("\n\n\n \t\r\n\n\n", LongRun::Space),
        ("的一是不了在人有我他这个们", LongRun::Letters),
        ("ภาษาไทยเป็นภาษา", LongRun::Letters),
    ] {
        assert_eq!(measured(text, 8), Err(run), "{text}");
    }
    for text in [
        "aaaaaaaa bbbbbbbb",
        "aaaa5555bbbb====    aaaa",
        "ääääääää öööööööö",
        "----\n----\n----\n",
        "😀😀😀😀 😀😀😀😀",
        "的一是不了在人有我他这个",
        "的一是不了，在人有我他，这个们",
        "ภาษาไทยเป็น ภาษา",
    ] {
        assert_eq!(measured(text, 8), Ok(0), "{text}");
    }
}

/// What people write without spaces passes, and what freezes Flowise does not.
#[test]
fn the_default_is_for_people() {
    for text in ["漢".repeat(1500), "ก".repeat(1500), "か".repeat(1500), "한".repeat(1500), "x".repeat(1000)] {
        assert!(measured(&text, 1000).is_ok());
    }
    for letter in ["x", "=", "\n", " ", "7", "😀", "漢", "\u{301}"] {
        assert!(measured(&letter.repeat(1501), 1000).is_err(), "{letter}");
    }
}

#[test]
fn long_runs_are_counted_together() {
    let question = ["漢".repeat(1060), "漢".repeat(1060)].join(" ");
    let spent = measured(&question, 1000).unwrap();
    assert_eq!(spent, 2 * 3180 * 3180);
    assert_eq!(measure("漢漢".repeat(50).as_str(), LetterRunLimit::new(1000), spent), Err(LongRun::Together));
    assert_eq!(measure(&"word ".repeat(100_000), LetterRunLimit::new(1000), spent), Ok(spent));
}

#[test]
fn marks_are_known() {
    for mark in
        ['\u{301}', '\u{e48}', '\u{94d}', '\u{64b}', '\u{fe0f}', '\u{20e3}', '\u{17d2}', '\u{1d165}', '\u{e0100}']
    {
        assert!(mark.is_alphabetic() || is_mark(mark), "{mark:?}");
    }
    for other in ['=', '·', '—', '，', '。', '་', '😀', '\u{200b}', '€', '\u{e5b}', '\u{104a}'] {
        assert!(!is_mark(other), "{other}");
    }
}

proptest! {
    #[test]
    fn the_short_way_finds_what_the_long_way_finds(text in "([a-z]{1,9}[ =\n]|[=漢\n😀]{1,400}|[a-z]{100,300}|[0-9]{0,5}){0,20}") {
        let limit = LetterRunLimit::new(300);
        let mut runs = Runs::new(limit, 0);
        let whole = runs.push(&text).and_then(|()| runs.end());
        prop_assert_eq!(measure(&text, limit, 0), whole);
    }

    #[test]
    fn bytes_are_measured_alike_wherever_they_are_cut(
        bytes in prop::collection::vec(prop::sample::select(&b"a= \n\xe6\xbc\xa2\xff\xf0\x9f\x98\x80"[..]), 0..60),
        at in 0..60_usize,
    ) {
        let limit = LetterRunLimit::new(5);
        let (first, second) = bytes.split_at(at.min(bytes.len()));
        let mut runs = ByteRuns::new(limit, 0);
        let in_pieces = runs.push(first).and_then(|()| runs.push(second)).and_then(|()| runs.end());
        // A character that is not whole at the end is not looked at.
        let whole = String::from_utf8_lossy(&bytes);
        let is_whole = !whole.ends_with(char::REPLACEMENT_CHARACTER);
        prop_assert!(in_pieces == measure(&whole, limit, 0) || !is_whole);
    }
}
