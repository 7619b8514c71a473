//! Replays what real Flowise 3.1.4 was asked and what it answered: the same exports, the same requests, a model that
//! answers as the recorded one did.

mod as_flowise;
mod code;
mod conditions;
mod draw;
mod flows;
mod knowledge;
mod lab;
mod recorded;
mod refused;
mod waits;
