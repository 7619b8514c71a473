//! What is counted, running or remembered: it belongs to the process, whatever snapshot is in force.
//!
//! | file | what it is |
//! |---|---|
//! | [`chats`] | which chats are being answered |
//! | [`limits`] | what callers have used of their plans |
//! | [`ledger`] | counts of quotas on disk |

pub(crate) mod chats;
pub(crate) mod ledger;
pub(crate) mod limits;
