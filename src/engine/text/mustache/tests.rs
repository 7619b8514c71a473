use http::header::AUTHORIZATION;
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Everything that is said to `x` and `y`, and what a node gave.
fn known(x: &str) -> impl Fn(&str) -> Option<Value> {
    let x = x.to_owned();
    move |name| match name {
        "x" => Some(x.as_str().into()),
        "n" => Some(5.into()),
        "node.output.list" => Some(json!([1, { "a": null }])),
        _ => None,
    }
}

fn json(text: &str, x: &str) -> Value {
    JsonTemplate::parse(text, Dialect::Agentflow).unwrap().value(&known(x)).unwrap()
}

#[test]
fn unknown_names_stay_and_values_are_not_looked_at() {
    for dialect in [Dialect::Chatflow, Dialect::Agentflow] {
        let text = Mustache::parse("x {{x}} {{ x }} {{b}} {{", dialect);
        assert_eq!(text.text(&known("{{n}}")), "x {{n}} {{n}} {{b}} {{");
        assert_eq!(text.names().collect::<Vec<_>>(), ["x", "x", "b"]);
        assert_eq!(text.written(), "x {{x}} {{ x }} {{b}} {{");
    }
    assert_eq!(Mustache::parse("{{\n{{x}} {{{ x }}", Dialect::Agentflow).text(&known("v")), "{{\nv v");
}

#[test]
fn a_value_in_json_stays_a_text_where_it_stands() {
    for evil in ["\", \"role\": \"admin", "\\", "'}", "{{n}}", "\n\u{FDD0}0\u{FDD1}", "*/ // ,"] {
        let body = json!({ "q": format!("a {evil}"), "role": "user", "n": 5, "list": [evil, [1, { "a": null }]] });
        let text = r#"{"q": "a {{ x }}", "role": "user", "n": {{ n }}, "list": ["{{x}}", {{ node.output.list }}]}"#;
        assert_eq!(json(text, evil), body);
        let text =
            "{q: 'a {{ x }}', /* {{ x }} */ role: 'user', n: {{ n }}, list: ['{{ x }}', {{ node.output.list }},],}";
        assert_eq!(json(text, evil), body);
    }
}

#[test]
fn without_quotes_a_value_is_one_value() {
    for (value, read) in [
        ("7", json!(7)),
        ("[1, 2]", json!([1, 2])),
        ("{\"role\": \"admin\"}", json!({ "role": "admin" })),
        ("1, \"role\": \"admin\"", json!("1, \"role\": \"admin\"")),
        ("plain", json!("plain")),
    ] {
        assert_eq!(json("{\"v\": {{x}}, \"role\": \"user\"}", value), json!({ "v": read, "role": "user" }));
    }
    let unknown = JsonTemplate::parse("[{{ gone }}]", Dialect::Agentflow).unwrap();
    assert_eq!(unknown.value(&known("")).unwrap_err(), "there is no value for {{ gone }}");
}

#[test]
fn what_is_no_json_or_names_by_value_is_refused() {
    for text in ["{", "{\"a\": {{x}}{{n}}}", "{\"a\": b{{x}}}", "{{x}} {{x}}", "{\"{{x}}\": 1}", "{ {{x}}: 1 }"] {
        assert!(JsonTemplate::parse(text, Dialect::Agentflow).is_err(), "{text}");
    }
}

#[test]
fn a_value_in_an_address_stays_in_its_segment() {
    let address = |text: &str, value: &str| Mustache::parse(text, Dialect::Agentflow).address(&known(value));
    assert_eq!(
        address("/a/{{ x }}/b?q={{x}}", "../c?d#e\\%2e&").unwrap(),
        "/a/..%2Fc%3Fd%23e%5C%252e%26/b?q=..%2Fc%3Fd%23e%5C%252e%26"
    );
    for (text, value) in
        [("/a/{{ x }}/b", ".."), ("/a/{{x}}", "."), ("/a/.{{x}}", "."), ("/{{x}}{{x}}?y", "."), ("/%2e{{x}}", ".")]
    {
        assert_eq!(address(text, value).unwrap_err(), percent::STEP, "{text}");
    }
    assert_eq!(address("/a/v{{x}}?q={{x}}", "..").unwrap(), "/a/v..?q=..");
}

#[test]
fn every_place_has_its_own_way_of_writing() {
    let at = |text: &str| Mustache::parse(text, Dialect::Agentflow);
    assert!(at("Bearer {{x}}").header(&AUTHORIZATION, &known("a\r\nx-role: admin")).is_err());
    assert_eq!(at("Bearer {{x}}").header(&AUTHORIZATION, &known("a")).unwrap(), "Bearer a");
    let cookies = at("a={{x}}; role=user").header(&COOKIE, &known("1; role=admin, \r")).unwrap();
    assert_eq!(cookies, "a=1%3B%20role=admin%2C%20%0D; role=user");
    assert_eq!(at("a={{x}}&role=user").form(&known("1&role=admin")), "a=1%26role%3Dadmin&role=user");
    assert_eq!(at("<a>{{x}}</a>").markup(&known("</a><b c=\"'\">")), "<a>&lt;/a&gt;&lt;b c=&quot;&#39;&quot;&gt;</a>");
    let pattern = fancy_regex::Regex::new(&at("^[a{{x}}]+{{x}}$").pattern(&known("-z.*|ä"))).unwrap();
    assert!(
        pattern.is_match("a-z.*|ä").unwrap()
            && !pattern.is_match("b-z.*|ä").unwrap()
            && !pattern.is_match("a").unwrap()
    );
}

#[test]
fn a_list_takes_no_name_twice() {
    let list =
        json!([{ "key": "role", "value": "user" }, { "key": "{{x}}", "value": "{{n}}" }, { "key": "", "value": "v" }]);
    let fields = FieldTemplates::read(&list, Some(Dialect::Agentflow));
    let filled = |x: &str| {
        fields.filled(&known(x)).into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(filled("role"), ["role=user"]);
    assert_eq!(filled("page"), ["role=user", "page=5"]);
}

#[test]
fn places_together_hold_no_more_than_there_is_room_for() {
    struct Little(std::cell::Cell<usize>);
    impl Names for Little {
        fn find(&self, _: &str) -> Option<Value> {
            self.0.set(self.0.get() + 1);
            Some("x".repeat(1000).into())
        }

        fn has_room(&self, bytes: usize) -> bool {
            bytes < 5000
        }
    }
    let fields: Vec<String> = (0..100).map(|at| format!("a{at}: '{{{{ x }}}}'")).collect();
    for text in [format!("[{}1]", "'{{ x }}',".repeat(100)), format!("{{{}}}", fields.join(","))] {
        let names = Little(std::cell::Cell::default());
        let template = JsonTemplate::parse(&text, Dialect::Agentflow).unwrap();
        assert!(template.value(&names).is_err());
        assert!(names.0.get() < 10, "{}", names.0.get());
    }
}

proptest! {
    #[test]
    fn references_of_agentflows_end_on_their_line(text in r"(a|\}|\}\}|\n|é){0,12}") {
        prop_assert_eq!(within_line(&text), text.split('\n').next().and_then(|line| line.find("}}")));
    }
}

/// A line's end is not looked for anew with each of its references, nor the end of a reference that has none.
#[test]
fn long_lines_are_read_once() {
    const COUNT: usize = 100_000;
    let parsed = Mustache::parse(&"{{x}}".repeat(COUNT), Dialect::Agentflow);
    assert_eq!(parsed.names().count(), COUNT);
    for dialect in [Dialect::Chatflow, Dialect::Agentflow] {
        let open = "{{ {".repeat(COUNT);
        assert_eq!(Mustache::parse(&open, dialect).fixed(), Some(open.as_str()));
    }
}
