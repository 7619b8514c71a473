//! What nodes, models and memory know of each other, and everything above knows of them: traits, plain data, and the run
//! that they work for.

pub(crate) mod budget;
pub(crate) mod failure;
pub(crate) mod message;
pub(crate) mod outcomes;
pub(crate) mod part;
pub(crate) mod request;
pub(crate) mod run;
pub(crate) mod watch;
