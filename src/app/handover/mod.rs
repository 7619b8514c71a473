//! One process takes another's place without a lost connection: the next release of the program, usually.
//!
//! ```text
//! the old one                                       the new one
//!   starts it, gives it the listening sockets  ──▸   reads configuration, keys, flows; adopts the sockets
//!   writes counts, lets go of the folder       ◂──   Prepared
//!   Released                                   ──▸   takes the folder, takes up the counts, starts all threads
//!   names it to systemd                        ◂──   Ready: it takes connections
//!   Go; accepts no more, ends what it has      ──▸   is the service
//!   counts that come late, chats' questions    ──▸   adds them, answers
//! ```
//!
//! Whatever goes wrong before Go ends the new one, and the old one goes on with what it has. A socket that both have is
//! one queue: nobody who waits in it is lost, whoever accepts.

mod giving;
mod listeners;
mod taking;

pub(super) use giving::{Giving, StateOwners};
pub(crate) use giving::{HandOver, HandOverError};
pub(crate) use listeners::InheritedListeners;
pub(super) use listeners::{HeldListener, UnfitSocket};
pub(crate) use taking::{Predecessor, PredecessorEnd};

/// What one process says to the other, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum HandOverStep {
    Prepared,
    Released,
    Ready,
    Go,
}

/// Begins a hand-over; the sockets follow, and the one by which chats are asked about.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Opening {
    /// Of the old program.
    version: String,
    listeners: Vec<listeners::HandedListener>,
}
