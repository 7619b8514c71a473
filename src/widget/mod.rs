//! What the official widget asks for beside predictions: which fields a call may carry, and what of an answer it needs.
//!
//! Flowise asks nobody for a key on these calls and answers with whole database rows. [`fields`]: what a client may
//! send; [`rows`]: what comes back of stored things; [`chatbot`]: the widget's configuration without the flow's inside;
//! [`files`]: names of stored files and how they are handed out; [`handle`]: what stands for a stored rating.

pub(crate) mod chatbot;
pub(crate) mod fields;
pub(crate) mod files;
pub(crate) mod handle;
pub(crate) mod rows;
