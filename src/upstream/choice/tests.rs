use std::time::Duration;

use super::*;
use crate::config::{Flowise, UpstreamUrl};
use crate::state::endpoints::Endpoints;
use crate::upstream::target::FlowiseUpstream;

const SLOW: Duration = Duration::from_hours(1);

fn target(hosts: &[&str], slow_start: Duration) -> Target {
    let urls = hosts.iter().map(|host| UpstreamUrl { https: false, host: (*host).into(), port: 3000 }).collect();
    let second = Duration::from_secs(1);
    let settings = Flowise {
        urls,
        api_key: None,
        ca: None,
        connect_timeout: second,
        response_timeout: second,
        stream_idle_timeout: second,
        pass_headers: Vec::new(),
        health: None,
        slow_start,
        dns_refresh: second,
    };
    let upstream = Arc::new(FlowiseUpstream::new(&"test".into(), &settings).unwrap());
    Target::new(&upstream, &Endpoints::default())
}

impl Chosen<'_> {
    fn host(&self) -> String {
        self.origin.to_string()
    }
}

/// Where that chat goes.
fn of(target: &Target, chat: u64) -> Chosen<'_> {
    target.choose(Affinity::Chat(chat), 0, &[]).unwrap()
}

fn back(chosen: &Chosen<'_>) {
    chosen.url.connected(&chosen.member);
}

#[test]
fn chats_are_spread_and_stay_where_they_were_answered_while_that_is_healthy() {
    let target = target(&["a", "b", "c"], Duration::ZERO);
    let firsts: Vec<_> = (0..300).map(|chat| of(&target, chat).host()).collect();
    for host in ["a", "b", "c"] {
        let share = firsts.iter().filter(|first| **first == format!("http://{host}:3000")).count();
        assert!((60..140).contains(&share), "{host} has {share} of 300");
    }
    let home = of(&target, 7);
    home.url.refused(&home.member);
    let second = of(&target, 7);
    assert_ne!(second.host(), home.host());
    back(&home);
    // It has gone on elsewhere meanwhile, and others have not.
    assert_eq!(of(&target, 7).host(), second.host());
    let (chat, first) = (0..300).zip(&firsts).find(|(chat, first)| *chat != 7 && **first == home.host()).unwrap();
    assert_eq!(of(&target, chat).host(), *first);
    // Until that one is gone as well.
    second.url.refused(&second.member);
    assert_eq!(of(&target, 7).host(), home.host());
}

#[test]
fn every_gateway_sends_a_chat_that_nobody_remembers_to_the_same_server() {
    let (one, other) = (target(&["a", "b", "c"], SLOW), target(&["c", "a", "b"], SLOW));
    for chat in 0..100 {
        assert_eq!(of(&one, chat).host(), of(&other, chat).host());
    }
}

#[test]
fn each_server_is_tried_once_and_those_that_are_out_last() {
    let target = target(&["a", "b", "c"], SLOW);
    let out = of(&target, 1);
    out.url.refused(&out.member);
    for affinity in [Affinity::Chat(1), Affinity::NewChat(1), Affinity::Nothing] {
        let mut tried = Vec::new();
        while let Some(chosen) = target.choose(affinity, 0, &tried) {
            tried.push(chosen.member.peer.id());
        }
        assert_eq!((tried.len(), tried.last()), (3, Some(&out.member.peer.id())), "{affinity:?}");
    }
}

#[test]
fn what_belongs_to_no_chat_goes_where_the_fewest_requests_are() {
    let target = target(&["a", "b"], SLOW);
    let choose = |turn| target.choose(Affinity::Nothing, turn, &[]).unwrap();
    let mut hosts: Vec<_> = (0..100).map(|turn| choose(turn).host()).collect();
    hosts.sort();
    hosts.dedup();
    assert_eq!(hosts.len(), 2, "idle servers take turns");
    let busy = choose(0);
    let under_way = busy.member.peer.begin();
    assert!((0..100).all(|turn| choose(turn).host() != busy.host()));
    // A chat that begins is no different, and goes on there.
    let new = target.choose(Affinity::NewChat(5), 0, &[]).unwrap().host();
    assert_ne!(new, busy.host());
    drop(under_way);
    assert_eq!(of(&target, 5).host(), new);
}

#[test]
fn a_server_that_has_come_back_is_given_little_at_first() {
    let slow = target(&["a", "b"], SLOW);
    let restarted = of(&slow, 0);
    let remembered = (1..100).find(|chat| of(&slow, *chat).host() == restarted.host()).unwrap();
    restarted.url.refused(&restarted.member);
    back(&restarted);
    // Who was there is still there; of the others, a few may go.
    assert_eq!(of(&slow, remembered).host(), restarted.host());
    let gone = (1000..2000).filter(|chat| of(&slow, *chat).host() == restarted.host()).count();
    assert!((20..100).contains(&gone), "{gone} of some 500");
    // Nothing is under way: the other one still counts as ten times as free.
    assert!((0..100).all(|turn| slow.choose(Affinity::Nothing, turn, &[]).unwrap().host() != restarted.host()));
    let at_once = target(&["a", "b"], Duration::ZERO);
    let restarted = of(&at_once, 0);
    restarted.url.refused(&restarted.member);
    back(&restarted);
    let here = (1000..2000).filter(|chat| of(&at_once, *chat).host() == restarted.host()).count();
    assert!((400..600).contains(&here), "{here} of 1000");
}

#[test]
fn every_address_of_a_name_is_a_server() {
    let target = target(&["flowise"], SLOW);
    let addresses: Vec<_> = (1..4).map(|host| ([10, 0, 0, host], 3000).into()).collect();
    target.urls[0].1.resolved(&addresses);
    let mut seen: Vec<_> = (0..100).filter_map(|chat| of(&target, chat).member.peer.address()).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen, addresses);
}
