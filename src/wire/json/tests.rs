use proptest::prelude::*;
use serde_json::json;

use super::*;

/// What Node 20 makes of each, written as UTF-8.
#[test]
fn halves_of_characters_are_read_as_node_reads_them() {
    for (text, expected) in [
        (r#""a\ud83d""#, "a\u{fffd}"),
        (r#""\uD83Db""#, "\u{fffd}b"),
        (r#""\ude00""#, "\u{fffd}"),
        (r#""\ud83d\ude00""#, "😀"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
        (r#""\ud83d\n""#, "\u{fffd}\n"),
        (r#""\ud83dude00""#, "\u{fffd}ude00"),
        (r#""\\ud83d""#, r"\ud83d"),
        (r#""\\\ud83d""#, "\\\u{fffd}"),
        (r#""\u0041\ud83d""#, "A\u{fffd}"),
        ("\u{feff}\"a\"", "a"),
    ] {
        assert_eq!(read_str::<String>(text).unwrap(), expected, "{text}");
        assert_eq!(serde_json::from_str::<String>(&sound(text.as_bytes())).unwrap(), expected, "{text}");
    }
    assert_eq!(read::<String>(b"\"a\xed\xa0\xbdb\xff\"").unwrap(), "a\u{fffd}\u{fffd}\u{fffd}b\u{fffd}");
    assert_eq!(read_str::<Value>(r#"{"\ud83d":["\ud83d"]}"#).unwrap(), json!({ "\u{fffd}": ["\u{fffd}"] }));
}

#[test]
fn what_is_no_json_stays_none() {
    for text in ["", "{", r#""\u12""#, r#""\ud83d"#, "\"\\", "{'a':1}", "[1,]", "\"\n\"", "1e", "NaN", "\u{feff}"] {
        assert!(read_str::<Value>(text).is_err(), "{text}");
    }
}

#[test]
fn numbers_and_levels_that_serde_does_not_take_lose_nothing_else() {
    let value = read_str::<Value>(r#"{"a":[1e999,-1e999,2],"b":"1e999 \" 1e999","a2":12e3}"#).unwrap();
    assert_eq!(value, json!({ "a": [null, null, 2], "b": "1e999 \" 1e999", "a2": 12e3 }));
    let deep = format!(r#"{{"text":"kept","deep":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(read_str::<Value>(&deep).unwrap()["text"], "kept");
}

#[test]
fn an_answer_of_millions_of_values_is_none() {
    let list = |count: usize| format!("[{}0]", "0,".repeat(count));
    assert_eq!(read_answer::<Vec<u8>>(list(MOST_VALUES / 2).as_bytes()).unwrap().len(), MOST_VALUES / 2 + 1);
    assert!(read_answer::<Value>(list(MOST_VALUES).as_bytes()).is_err());
    assert!(read_answer::<Value>(format!("\"{}\"", "x".repeat(2 * MOST_VALUES)).as_bytes()).is_ok());
}

#[test]
fn a_text_without_halves_is_not_copied() {
    assert!(matches!(sound(r#"{"a":"\n\ud83d\ude00 é"}"#.as_bytes()), Cow::Borrowed(_)));
}

#[test]
fn a_strict_reader_takes_halves_and_nothing_else() {
    assert_eq!(well_formed(b"a\xed\xa0\xbdb").unwrap(), "a\u{fffd}b");
    assert_eq!(well_formed("\u{feff}\"\\ud83d\" 한".as_bytes()).unwrap(), "\"\\ufffd\" 한");
    for bytes in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0", b"\xed\xa0\xbd\xff", b"\xff\xfe{\0}\0"] {
        assert_eq!(well_formed(bytes), None);
    }
}

proptest! {
    #[test]
    fn whatever_is_json_to_serde_is_left_as_it_is(text in r#"["\\udD38aFn{}:, ]{0,40}"#) {
        if serde_json::from_str::<Value>(&text).is_ok() {
            prop_assert_eq!(&*sound(text.as_bytes()), &*text);
        }
    }

    #[test]
    fn halves_in_a_string_never_lose_it(units in prop::collection::vec(0xd700_u16..0xe100, 0..12)) {
        let escapes: Vec<String> = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
        let escapes = escapes.concat();
        let read = read_str::<String>(&format!("\"{escapes}\"")).unwrap();
        prop_assert_eq!(read, String::from_utf16_lossy(&units));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = read::<Value>(&bytes);
    }
}
