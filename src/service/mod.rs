//! Between this process and whoever runs it: systemd, and the process that takes its place or gives it up.
//!
//! | file | what it is |
//! |---|---|
//! | [`notify`] | what systemd is told: ready, reloading, stopping, alive |
//! | [`activation`] | sockets that systemd has bound |
//! | [`channel`] | the socket between a process and its successor, over which the listening sockets go |
//! | [`successor`] | starts the successor |

pub(crate) mod activation;
pub(crate) mod channel;
pub(crate) mod notify;
pub(crate) mod successor;
