//! Several servers behind one upstream: which of them works, which of them is asked, and what a restart costs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use socket2::{Domain, Socket, Type};

use crate::harness::client;
use crate::harness::gateway::{Gateway, config, simple};
use crate::harness::restarting::Restarting;
use crate::harness::upstream::{ANSWER, Gate, Upstream, record};
use crate::harness::{KEY, wait_for};

const OFTEN: &str = ", health: { interval: 100ms, healthy_threshold: 1, unhealthy_threshold: 2 }, slow_start: 0s";
const PLENTY: &str = "plans: { default: { requests: 100000/min, burst: 10000, concurrent: 1000 } }";

/// A gateway in front of these, with these further fields.
fn in_front_of(addresses: &[SocketAddr], flowise: &str) -> Gateway {
    Gateway::start(&several(addresses, flowise))
}

fn several(addresses: &[SocketAddr], flowise: &str) -> String {
    let urls: Vec<_> = addresses.iter().map(|address| format!("'http://{address}'")).collect();
    config(addresses[0], "", flowise, "", PLENTY).replace(&urls[0], &urls.join(", "))
}

fn healthy(address: SocketAddr) -> String {
    format!(r#"flowgate_upstream_healthy{{upstream="flowise",url="http://{address}"}}"#)
}

fn question(chat: &str) -> String {
    format!(r#"{{"question":"hi","chatId":"{chat}"}}"#)
}

#[track_caller]
fn ask(gateway: &Gateway, body: &str) {
    let response = gateway.predict(body);
    assert_eq!((response.status, response.text().as_str()), (200, ANSWER));
}

/// An address of which nobody else can get hold: bound, not listening.
fn dead() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("bound");
    let address = socket.local_addr().expect("bound").as_socket().expect("an address");
    (socket, address)
}

/// Predictions that an upstream has seen.
fn predictions(upstream: &Upstream) -> usize {
    upstream.seen().iter().filter(|seen| seen.method == "POST").count()
}

/// An upstream whose checks fail while that is set.
fn failing_at(fails: &Arc<AtomicBool>) -> Upstream {
    let fails = Arc::clone(fails);
    Upstream::start(move |seen, reply| match seen.method.as_str() {
        "GET" if fails.load(Ordering::SeqCst) => reply.json("503 Service Unavailable", "{}"),
        "GET" => reply.json("200 OK", "pong"),
        _ => reply.json("200 OK", ANSWER),
    })
}

#[test]
fn a_dead_url_is_told_before_anybody_asks_and_so_is_its_return() {
    let ((socket, dead), alive) = (dead(), Upstream::answering());
    let gateway = in_front_of(&[dead, alive.address], OFTEN);
    gateway.wait_metric(&healthy(alive.address), 1.0);
    let line = gateway.log_line(|line| line["message"] == "a server is not healthy");
    assert_eq!(
        (line["level"].as_str(), line["url"].as_str()),
        (Some("WARN"), Some(&*format!("http://{dead}"))),
        "{line}"
    );
    assert!(gateway.metrics().contains(&format!("{} 0\n", healthy(dead))));
    let addresses = |state: &str| {
        format!(r#"flowgate_upstream_addresses{{state="{state}",upstream="flowise",url="http://{dead}"}}"#)
    };
    gateway.wait_metric(&addresses("unhealthy"), 1.0);
    // Requests do not even try it.
    for chat in 0..20 {
        ask(&gateway, &question(&format!("chat-{chat}")));
    }
    assert!(!gateway.metrics().contains("flowgate_upstream_errors_total{"));

    let check = alive.wait_request("GET", "/api/v1/ping");
    assert_eq!((check.header("connection"), check.header("host")), (Some("close"), Some(&*alive.address.to_string())));
    for secret in ["authorization", "x-api-key"] {
        assert_eq!(check.header(secret), None);
    }

    socket.listen(16).expect("listening");
    let back = Upstream::answering_on(TcpListener::from(socket));
    gateway.wait_metric(&healthy(dead), 1.0);
    gateway.wait_metric(&addresses("healthy"), 1.0);
    gateway.log_line(|line| line["message"] == "a server is healthy" && line["url"] == format!("http://{dead}"));
    for chat in 0..40 {
        ask(&gateway, &question(&format!("new-{chat}")));
    }
    assert!(predictions(&back) > 0);
}

#[test]
fn where_checks_are_off_nothing_is_sent() {
    let (unchecked, checked) = (Upstream::answering(), Upstream::answering());
    let other = format!(
        "  other: {{ flowise: {{ urls: ['http://{}'], health: {{ path: '/up?a=b', interval: 100ms }} }} }}\nchatflows:\n",
        checked.address
    );
    let gateway = Gateway::start(&simple(unchecked.address).replace("chatflows:\n", &other));
    let seen = checked.wait_seen(3);
    assert!(seen.iter().all(|seen| (seen.method.as_str(), seen.path.as_str()) == ("GET", "/up?a=b")));
    assert!(unchecked.seen().is_empty());
    // Nothing speaks against it.
    gateway.wait_metric(&healthy(unchecked.address), 1.0);
}

#[test]
fn a_url_that_a_reload_takes_out_is_told_of_no_more() {
    let (open, gate) = Gate::new();
    let stays = Upstream::answering();
    let goes = Upstream::start(move |seen, reply| match seen.method.as_str() {
        "POST" => {
            reply.stream_head();
            reply.event("start", "");
            gate.pass();
            reply.event("end", "[DONE]");
            reply.finish();
        }
        _ => reply.json("200 OK", "pong"),
    });
    let gateway = in_front_of(&[goes.address], OFTEN);
    gateway.wait_metric(&healthy(goes.address), 1.0);
    // Whatever still runs there.
    let mut stream = gateway.begin(r#"{"question":"hi","streaming":true}"#);
    stream.read_head().expect("a head");
    gateway.write("flowgate.yaml", several(&[stays.address], OFTEN));
    gateway.signal("HUP");
    gateway.wait_metric(&healthy(stays.address), 1.0);
    let gone = goes.address.to_string();
    wait_for("the end of its series", || (!gateway.metrics().contains(&gone)).then_some(()));
    open.send(()).expect("the upstream waits");
    assert_eq!(stream.read_chunk().expect("a chunk"), Some(record("start", "").into_bytes()));
    assert!(stream.read_chunk().expect("the end").is_some());
    assert!(!gateway.metrics().contains(&gone));
}

#[test]
fn what_a_flow_answers_says_nothing_of_its_server() {
    let upstreams = [(); 2].map(|()| {
        Upstream::start(|seen, reply| match seen.method.as_str() {
            "POST" => reply.json("500 Internal Server Error", r#"{"message":"the flow failed"}"#),
            _ => reply.json("200 OK", "pong"),
        })
    });
    let addresses = upstreams.each_ref().map(|upstream| upstream.address);
    let gateway = in_front_of(&addresses, OFTEN);
    for address in addresses {
        gateway.wait_metric(&healthy(address), 1.0);
    }
    for round in 0..3 {
        for chat in 0..20 {
            let response = gateway.predict(&question(&format!("chat-{chat}")));
            assert_eq!(response.status, 500, "round {round}");
        }
    }
    let chats = |upstream: &Upstream| {
        let chats = upstream.seen().into_iter().filter(|seen| seen.method == "POST");
        chats.map(|seen| seen.json()["chatId"].to_string()).collect::<BTreeSet<_>>()
    };
    assert!(chats(&upstreams[0]).is_disjoint(&chats(&upstreams[1])));
    assert_eq!(upstreams.iter().map(predictions).sum::<usize>(), 60);
    for address in addresses {
        assert!(gateway.metrics().contains(&format!("{} 1\n", healthy(address))));
    }
}

#[test]
fn a_server_that_fails_its_checks_is_left_out_unless_all_do() {
    let fails: [Arc<AtomicBool>; 2] = Default::default();
    let upstreams = [failing_at(&fails[0]), failing_at(&fails[1])];
    let addresses = upstreams.each_ref().map(|upstream| upstream.address);
    let gateway = in_front_of(&addresses, OFTEN);
    let wait = |at: usize, value| gateway.wait_metric(&healthy(addresses[at]), value);
    (0..2).for_each(|at| wait(at, 1.0));
    fails[0].store(true, Ordering::SeqCst);
    wait(0, 0.0);
    let before = predictions(&upstreams[1]);
    for chat in 0..20 {
        ask(&gateway, &question(&format!("chat-{chat}")));
    }
    assert_eq!((predictions(&upstreams[0]), predictions(&upstreams[1])), (0, before + 20));
    fails[1].store(true, Ordering::SeqCst);
    wait(1, 0.0);
    // Better to try than to refuse.
    for chat in 0..20 {
        ask(&gateway, &question(&format!("chat-{chat}")));
    }
    for (at, fails) in fails.iter().enumerate() {
        fails.store(false, Ordering::SeqCst);
        wait(at, 1.0);
    }
}

/// Upstreams whose predictions wait while that is set.
fn held(holds: &Arc<AtomicBool>, gate: Gate) -> [Upstream; 2] {
    let gate = Arc::new(gate);
    [(); 2].map(|()| {
        let (holds, gate) = (Arc::clone(holds), Arc::clone(&gate));
        Upstream::start(move |_, reply| {
            if holds.load(Ordering::SeqCst) {
                gate.pass();
            }
            reply.json("200 OK", ANSWER);
        })
    })
}

#[test]
fn a_chat_begins_where_the_fewest_requests_are_and_goes_on_there() {
    let (open, gate) = Gate::new();
    let holds = Arc::new(AtomicBool::new(true));
    let upstreams = held(&holds, gate);
    let gateway = in_front_of(&upstreams.each_ref().map(|upstream| upstream.address), ", slow_start: null");
    let mut first = gateway.begin(r#"{"question":"first"}"#);
    let busy = wait_for("the first question", || upstreams.iter().position(|upstream| predictions(upstream) == 1));
    holds.store(false, Ordering::SeqCst);
    for _ in 0..20 {
        ask(&gateway, r#"{"question":"hi"}"#);
    }
    assert_eq!(upstreams.each_ref().map(predictions)[busy], 1, "the other one is idle");
    open.send(()).expect("the upstream waits");
    assert_eq!(first.read_response().expect("an answer").status, 200);
    // With ids that the gateway made; half of them would belong to the one that was busy.
    let ids: Vec<_> = upstreams[1 - busy].seen().iter().map(|seen| seen.json()["chatId"].to_string()).collect();
    for id in &ids {
        ask(&gateway, &format!(r#"{{"question":"again","chatId":{id}}}"#));
    }
    assert_eq!(ids.len(), 20);
    assert_eq!(upstreams.each_ref().map(predictions)[1 - busy], 40);
}

#[test]
fn two_servers_restart_one_after_the_other_under_load_and_no_request_fails() {
    let mut servers = [Restarting::start(), Restarting::start()];
    let addresses = servers.each_ref().map(|server| server.address);
    let gateway = in_front_of(&addresses, OFTEN);
    for address in addresses {
        gateway.wait_metric(&healthy(address), 1.0);
    }
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failed = std::thread::scope(|scope| {
        let load = || {
            let mut failed = Vec::new();
            while !done.load(Ordering::SeqCst) {
                let number = asked.fetch_add(1, Ordering::SeqCst);
                // Of a chat, or of none.
                let chat = if number % 3 == 0 { String::new() } else { format!(r#","chatId":"chat-{}""#, number % 50) };
                let body = format!(r#"{{"question":"{number}"{chat}}}"#);
                let response = client::post(gateway.http, "/api/v1/prediction/support", &[("x-api-key", KEY)], &body);
                if response.status != 200 {
                    failed.push(response.text());
                }
            }
            failed
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(load)).collect();
        let more = |count| {
            let so_far = asked.load(Ordering::SeqCst);
            wait_for("more requests", || (asked.load(Ordering::SeqCst) > so_far + count).then_some(()));
        };
        for server in &mut servers {
            more(100);
            server.stop();
            gateway.wait_metric(&healthy(server.address), 0.0);
            more(100);
            let before = server.predictions().len();
            server.start_again();
            gateway.wait_metric(&healthy(server.address), 1.0);
            wait_for("requests to a server that is back", || (server.predictions().len() > before).then_some(()));
        }
        done.store(true, Ordering::SeqCst);
        clients.into_iter().flat_map(|client| client.join().expect("no panic")).collect::<Vec<_>>()
    });
    assert_eq!(failed, <[String; 0]>::default());
    let mut times = BTreeMap::<String, usize>::new();
    for seen in servers.iter().flat_map(Restarting::predictions) {
        *times.entry(seen.json()["question"].to_string()).or_default() += 1;
    }
    assert_eq!(times.len(), asked.load(Ordering::SeqCst));
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

#[test]
fn all_addresses_of_a_name_are_used() {
    // Here perhaps one, elsewhere 127.0.0.1 and ::1.
    let first = TcpListener::bind("localhost:0").expect("a free port");
    let port = first.local_addr().expect("bound").port();
    let addresses: BTreeSet<_> = ("localhost", port).to_socket_addrs().expect("localhost is known").collect();
    let mut listeners = vec![first];
    for address in &addresses {
        if *address != listeners[0].local_addr().expect("bound") {
            listeners.push(TcpListener::bind(address).expect("the same port"));
        }
    }
    let upstreams: Vec<_> = listeners.into_iter().map(Upstream::answering_on).collect();
    let name = format!("localhost:{port}");
    let gateway =
        Gateway::start(&several(&[upstreams[0].address], OFTEN).replace(&upstreams[0].address.to_string(), &name));
    let series = format!(r#"flowgate_upstream_addresses{{state="healthy",upstream="flowise",url="http://{name}"}}"#);
    gateway.wait_metric(&series, f64::from(u32::try_from(addresses.len()).expect("few")));
    for chat in 0..60 {
        ask(&gateway, &question(&format!("chat-{chat}")));
    }
    assert!(upstreams.iter().all(|upstream| predictions(upstream) > 0));
    assert_eq!(upstreams[0].wait_request("POST", "/").header("host"), Some(&*name));
}
