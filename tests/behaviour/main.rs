//! What flowgate promises, seen from outside: the real binary, real sockets, real TLS, a scripted upstream.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that fails should panic, and clippy.toml allows it in test functions but not in what they share"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod admin;
mod adopt;
mod agentflows;
mod anonymous;
mod answers;
mod answers_in_pieces;
mod attachments;
mod auth;
mod body;
mod body_schema;
mod body_uploads;
mod chat_busy;
mod commands;
mod cors;
mod cors_errors;
mod disconnect;
mod discretion;
mod drain;
mod engine;
mod engine_transcripts;
mod ext_auth;
mod half_characters;
mod headers;
mod helpful_errors;
mod hoarding_clients;
mod http2;
mod http2_abuse;
mod http2_conformance;
mod identity;
mod isolation;
mod large_bodies;
mod late_bodies;
mod late_errors;
mod limit_queue;
mod offline_tokens;
mod overrides;
mod pages;
mod penalty;
mod pooling;
mod preflight;
mod proxy_protocol;
mod public;
mod publishable_keys;
mod quota;
mod rate_limits;
mod reference;
mod refusals_as_streams;
mod reload;
mod reload_obstacles;
mod reload_parts;
mod resting;
mod revoking;
mod revoking_now;
mod routing;
mod secret_files;
mod shield;
mod slow_clients;
mod smuggling;
mod store;
mod streaming;
mod systemd;
mod telemetry;
mod tidy;
mod tls;
mod token_claims;
mod token_refusals;
mod tokens;
mod traces;
mod transcripts;
mod upgrade;
mod uploads;
mod upstream_faults;
mod upstream_health;
mod upstream_tls;
mod usage;
mod widget;
