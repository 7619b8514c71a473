use proptest::prelude::*;

use super::*;
use crate::stack::ext_auth::may_decide;

#[test]
fn only_the_exact_spelling_is_a_route() {
    let row = "dff925d5-e82d-4e3e-b85e-f49c8415023b";
    let handle = format!("feedback/support~{row}~{row}");
    for (path, label, chatflow) in [
        ("prediction/support", "prediction", Some("support")),
        ("vector/upsert/support", "vector-upsert", Some("support")),
        ("ping", "ping", None),
        ("attachments/support/chat-1", "attachments", Some("support")),
        ("chatmessage/abort/support/chat-1", "chatmessage-abort", Some("support")),
        ("leads/", "leads", None),
        ("leads", "leads", None),
        ("text-to-speech/generate", "text-to-speech", None),
        ("feedback/support", "feedback", Some("support")),
        (&handle, "feedback-update", Some("support")),
    ] {
        let path = format!("/api/v1/{path}");
        let found = find(&path).unwrap();
        assert_eq!((found.route.label, found.chatflow), (label, chatflow), "{path}");
    }
    for path in [
        "/api/v1/Prediction/support",
        "/API/v1/prediction/support",
        "/api/v1/%70rediction/support",
        "/api/v1/prediction//support",
        "/api/v1//prediction/support",
        "//api/v1/prediction/support",
        "/api/v1/prediction/support/",
        "/api/v1/prediction/",
        "/api/v1/prediction",
        "/api/v1/x/../prediction/support",
        "/api/v1/prediction;x/support",
        "/api/v1/chatflows",
        "/api/v1/leads/support",
        "/api/v1/attachments/support",
        "/api/v1/attachments/support/",
        "/api/v1/attachments/support/a/b",
        "/api/v1/attachments//a",
        "/api/v1/chatmessage/support",
        "/api/v1/chatmessage/abort/support",
        "/api/v1/public-chatflows/support",
        "/api/v1/openai-assistants-file/upload",
        "/api/v1/text-to-speech/voices",
        "/api/v1/credentials/1",
        "/api/v1/vector/upsert",
        "/api/v1/health/",
        "//",
        "*",
    ] {
        assert_eq!(find(path), None, "{path}");
    }
}

#[test]
fn no_two_endpoints_are_one_to_the_metrics() {
    for (index, one) in ROUTES.iter().enumerate() {
        for other in ROUTES.iter().skip(index + 1) {
            let is_same = (one.endpoint, one.shape) == (other.endpoint, other.shape);
            assert_eq!(one.number() == other.number(), is_same, "{one:?} {other:?}");
            assert_eq!(one.label == other.label, is_same, "{one:?} {other:?}");
            assert_ne!(one.path, other.path);
        }
    }
}

/// One row more, as the page of the architecture has it.
#[test]
fn a_prediction_in_another_shape_is_another_route_and_no_proxys() {
    let [flowise, message] = [None, Some(ResponseShape::Message)].map(|shape| {
        let path = "/v1/chat/completions";
        let (body, callers, chatflow) = (Takes::Question, Callers::Permitted, NamedIn::Body("model"));
        Route { shape, ..row(Endpoint::PREDICTION, "completions", Methods::Post, path, body, callers, chatflow) }
    });
    assert!(ROUTES.iter().all(|route| route.number() != message.number()));
    assert_eq!(flowise.number(), ROUTES[0].number());
    // What a proxy forwards by itself, nobody here can write in another shape.
    assert!(may_decide(&flowise) && !may_decide(&message));
}

proptest! {
    #[test]
    fn a_route_is_always_one_known_path_and_whole_segments(path in "[/a-z0-9.%;]{0,40}|/api/v1/[a-z/.%;]{0,40}") {
        if let Some(MatchedRoute { route, chatflow }) = find(&path) {
            prop_assert!(chatflow.is_none_or(|name| !name.contains('/') && !name.is_empty()));
            prop_assert_eq!(path.split('/').count(), route.path.pattern.split('/').count());
        }
    }
}
