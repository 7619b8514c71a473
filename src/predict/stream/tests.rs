use std::sync::mpsc;
use std::task::Waker;

use super::*;
use crate::config::{Events, ResponseShape};
use crate::predict::answer::View;
use crate::predict::events::{error_and_end, record};
use crate::predict::request::tests::chatflow;
use crate::predict::session::{ChatIds, Pair};

/// Tells what it is given, and is silent then.
struct ScriptedSource(Vec<Bytes>, Option<Ending>);

impl EventSource for ScriptedSource {
    fn poll_events(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.0.is_empty() { Poll::Pending } else { Poll::Ready(Some(self.0.remove(0))) }
    }

    fn is_over(&self) -> bool {
        self.1.is_some()
    }

    fn break_off(&mut self, ending: Ending, message: &str) -> Bytes {
        self.1 = Some(ending);
        error_and_end(message).into()
    }
}

/// As the widget sees it, of a server that may be silent for 20 seconds.
fn body(shape: ResponseShape, pieces: &[Bytes], cut: (&CancellationToken, CutStream)) -> EventBody<ScriptedSource> {
    let mut policy = chatflow(&[]);
    policy.events = Events::Widget;
    let chat = Pair { client: "a".into(), upstream: "a".into() };
    let view = View::new(&policy, &ChatIds { chat, is_new: false, session: None }, shape).into_stream();
    let (cut, reason) = (cut.0.clone(), cut.1);
    let cut = StreamCut::new(move || if cut.is_cancelled() { Err(reason) } else { Ok(cut.clone()) });
    let bounds = StreamBounds { idle: Some(Duration::from_secs(20)), cut };
    EventBody::new(ScriptedSource(pieces.to_vec(), None), Some(view), bounds)
}

fn polled(body: &mut EventBody<ScriptedSource>) -> Poll<Option<Bytes>> {
    let mut cx = Context::from_waker(Waker::noop());
    let frame = Pin::new(body).poll_frame(&mut cx);
    frame.map(|frame| frame.map(|frame| frame.unwrap().into_data().unwrap()))
}

fn said(text: impl Into<Bytes>) -> Poll<Option<Bytes>> {
    Poll::Ready(Some(text.into()))
}

/// Keeps all places for such work until it is dropped.
fn no_place() -> [mpsc::Sender<()>; 2] {
    std::array::from_fn(|_| {
        let (gate, opened) = mpsc::channel::<()>();
        tokio::spawn(offload::elsewhere(0, move || opened.recv().is_err()));
        gate
    })
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_while_a_record_is_looked_at_elsewhere() {
    let taken = no_place();
    tokio::task::yield_now().await;
    let steps = serde_json::json!([{ "nodeId": "n", "data": { "input": "x".repeat(300 * 1024) } }]);
    let text = record("agentFlowExecutedData", &steps);
    let (start, end) = text.split_at(200);
    let pieces = [start, end].map(|piece| Bytes::copy_from_slice(piece.as_bytes()));
    let cut = CancellationToken::new();
    let mut shown = body(ResponseShape::Flowise, &pieces, (&CancellationToken::new(), CutStream::GatewayEnds));
    let mut drained = [ResponseShape::Flowise, ResponseShape::Message]
        .map(|shape| body(shape, &pieces, (&cut, CutStream::GatewayEnds)));
    let mut revoked = body(ResponseShape::Flowise, &pieces, (&cut, CutStream::KeyRevoked));
    assert_eq!(polled(&mut revoked), Poll::Pending);
    let poll_all = |shown: &mut _, drained: &mut [_; 2], expected: &Poll<Option<Bytes>>| {
        [shown].into_iter().chain(drained).for_each(|body| assert_eq!(polled(body), *expected));
    };
    poll_all(&mut shown, &mut drained, &Poll::Pending);
    // Comments come while it is looked at, and who is not listened to is not silent.
    for _ in 0..2 {
        tokio::time::advance(Duration::from_secs(14)).await;
        poll_all(&mut shown, &mut drained, &Poll::Pending);
        tokio::time::advance(Duration::from_secs(1)).await;
        poll_all(&mut shown, &mut drained, &said(KEEP_ALIVE));
    }
    // At the gateway's end nobody waits for that.
    cut.cancel();
    let [mut flowise, mut message] = drained;
    assert_eq!(polled(&mut flowise), said(error_and_end(SHUTTING_DOWN)));
    let error = format!("event: error\ndata: {{\"error\":\"{SHUTTING_DOWN}\",\"code\":\"upstream_error\"}}\n\n");
    assert_eq!(polled(&mut message), said(error));
    for body in [&mut flowise, &mut message] {
        assert_eq!((polled(body), body.source.1), (Poll::Ready(None), Some(Ending::Drained)));
        assert!(body.is_end_stream());
    }
    assert_eq!(polled(&mut revoked), said(error_and_end(KEY_REVOKED)));
    assert_eq!(revoked.source.1, Some(Ending::Revoked));

    tokio::time::resume();
    drop(taken);
    let whole = std::future::poll_fn(|cx| Pin::new(&mut shown).poll_frame(cx)).await;
    let whole = whole.unwrap().unwrap().into_data().unwrap();
    assert_eq!(whole, record("agentFlowExecutedData", &serde_json::json!([{ "nodeId": "n", "data": {} }])));
    assert_eq!(polled(&mut shown), Poll::Pending);
}
