use proptest::prelude::*;

use super::{ExpandError, expand};

fn environment(name: &str) -> Option<String> {
    match name {
        "HOST" => Some(String::from("flowise")),
        "EMPTY" => Some(String::new()),
        "TRICKY" => Some(String::from("${HOST} $${ }")),
        _ => None,
    }
}

#[test]
fn variables_are_replaced() {
    for (text, expected) in [
        ("", ""),
        ("plain", "plain"),
        ("${HOST}", "flowise"),
        ("http://${HOST}:3000/", "http://flowise:3000/"),
        ("${HOST}${HOST}", "flowiseflowise"),
        ("${NONE:-}", ""),
        ("${NONE:-a:-b}", "a:-b"),
        ("${EMPTY}", ""),
        ("${EMPTY:-x}", "x"),
        ("${HOST:-x}", "flowise"),
        ("pa$$word", "pa$$word"),
        ("$HOST $ {HOST} $", "$HOST $ {HOST} $"),
        ("$${HOST}", "${HOST}"),
        ("$$${HOST}", "$${HOST}"),
        ("$${", "${"),
        ("}{", "}{"),
        ("${TRICKY}", "${HOST} $${ }"),
        ("é${HOST}é", "éflowiseé"),
    ] {
        assert_eq!(expand(text, &environment).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn mistakes_are_refused_by_kind() {
    for (text, error) in [
        ("${NONE}", ExpandError::Unset(String::from("NONE"))),
        ("a ${HOST", ExpandError::Unclosed),
        ("${", ExpandError::Unclosed),
        ("${}", ExpandError::Name),
        ("${1A}", ExpandError::Name),
        ("${A-B}", ExpandError::Name),
        ("${ HOST }", ExpandError::Name),
        ("${HOST:+x}", ExpandError::Name),
        ("${NONE:-${HOST}}", ExpandError::Nested),
    ] {
        assert_eq!(expand(text, &environment), Err(error), "{text}");
    }
}

#[test]
fn the_message_of_an_unset_variable_says_how_to_allow_it() {
    let error = ExpandError::Unset(String::from("KEY"));
    assert_eq!(error.to_string(), "the environment variable KEY is not set; `${KEY:-}` would stand for nothing");
}

proptest! {
    #[test]
    fn a_text_without_variables_stays_as_it_is(text in "[^{]*") {
        prop_assert_eq!(expand(&text, &|_| None), Ok(text));
    }

    #[test]
    fn any_text_survives_escaping(text in "\\PC*") {
        prop_assert_eq!(expand(&text.replace("${", "$${"), &|_| None), Ok(text));
    }
}
