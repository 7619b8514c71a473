//! What this program was built from, as build.rs found it.

/// After the name, in one line.
pub(super) const SHORT: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("FLOWGATE_BUILT_COMMIT"), ")");

/// After the name, with everything.
pub(super) const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit: ",
    env!("FLOWGATE_BUILT_COMMIT"),
    "\ntarget: ",
    env!("FLOWGATE_BUILT_TARGET"),
    "\nprofile: ",
    env!("FLOWGATE_BUILT_PROFILE"),
    "\nfeatures: ",
    env!("FLOWGATE_BUILT_FEATURES"),
);
