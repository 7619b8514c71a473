use super::*;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn read(parent: &str) -> Option<SpanContext> {
    SpanContext::of(&headers(&[("traceparent", parent)]))
}

#[test]
fn parents_are_read_and_written_alike() {
    let context = read(PARENT).unwrap();
    assert_eq!(
        (context.trace.get(), context.span.get()),
        (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7)
    );
    assert!(context.is_sampled);
    assert_eq!(context.traceparent().unwrap(), PARENT);
    assert!(!read(&PARENT.replace("-01", "-00")).unwrap().is_sampled);
    // Flags that are not known yet say nothing.
    assert!(!read(&PARENT.replace("-01", "-fe")).unwrap().is_sampled);
}

#[test]
fn later_versions_may_say_more() {
    assert!(read(&PARENT.replacen("00", "cc", 1)).is_some());
    assert!(read(&format!("{}-what-comes", PARENT.replacen("00", "cc", 1))).is_some());
    assert!(read(&format!("{}.what", PARENT.replacen("00", "cc", 1))).is_none());
}

#[test]
fn what_is_ill_formed_is_no_parent() {
    for parent in [
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
        "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        assert!(read(parent).is_none(), "{parent}");
    }
    assert!(SpanContext::of(&headers(&[("traceparent", PARENT), ("traceparent", PARENT)])).is_none());
    assert!(SpanContext::of(&headers(&[("tracestate", "a=1")])).is_none());
}

#[test]
fn vendors_words_go_on_unless_they_are_ill_formed() {
    let state = |lines: &[&str]| {
        let mut fields = vec![("traceparent", PARENT)];
        fields.extend(lines.iter().map(|line| ("tracestate", *line)));
        let context = SpanContext::of(&headers(&fields)).unwrap();
        context.state.map(|state| state.to_str().unwrap().to_owned())
    };
    assert_eq!(state(&["a=1, b=2 ,,", "1t@x=ab cd"]).as_deref(), Some("a=1,b=2,1t@x=ab cd"));
    let many = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    assert!(state(&[&many(32)]).is_some());
    let long = format!("a={}", "x".repeat(256));
    for line in ["", "a", "a=", "A=1", "1a=1", "a=1,a=2", "a@B=1", "a=\u{e4}", "a=b=c", &many(33), &format!("{long}x")]
    {
        assert_eq!(state(&[line]), None, "{line}");
    }
    assert_eq!(state(&[&long, &long.replace('a', "b")]), None);
}
