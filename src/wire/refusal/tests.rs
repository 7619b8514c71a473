use super::*;

#[test]
fn what_the_widget_would_not_show_is_told_as_a_stream() {
    let tell = |refusal: &Refusal| refusal.message().to_owned();
    for shown in [Refusal::MissingKey, Refusal::ChatflowNotAllowed, Refusal::TooManyConcurrent] {
        assert!(shown.stream(tell).is_none(), "{shown:?}");
    }
    let limit = BodyLimit { bytes: 3 << 19, setting: Some("server.max_body") };
    for hidden in [Refusal::NotFound, limit.exceeded(), Refusal::ChatBusy, Refusal::UpstreamTimeout] {
        let response = hidden.stream(tell).unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let Body::Full(body) = response.into_body() else { panic!("a whole body") };
        assert_eq!(body, hidden.message());
    }
}

#[test]
fn a_limit_is_told_as_it_is_written() {
    for (bytes, setting, message) in [
        (1 << 20, Some("server.max_body"), "The body is larger than 1 MiB (server.max_body)."),
        (3 << 19, None, "The body is larger than 1536 KiB."),
        (1500, None, "The body is larger than 1500 bytes."),
    ] {
        assert_eq!(BodyLimit { bytes, setting }.exceeded().message(), message);
    }
}
