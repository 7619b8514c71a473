//! What a store answers: at once, from this process's memory, or later, from elsewhere.
//!
//! Not an `async fn`: whoever has the answer at hand pays for no future, and whoever asks may go on without one.

use std::pin::Pin;

/// See the module. It stays on its thread.
pub(crate) enum MaybeFuture<T> {
    Now(T),
    /// Dropped before it is ready, nothing is left of what was asked for.
    Later(Pin<Box<dyn Future<Output = T>>>),
}

impl<T> MaybeFuture<T> {
    /// The answer, once it is there.
    pub(crate) async fn answer(self) -> T {
        match self {
            Self::Now(answer) => answer,
            Self::Later(answer) => answer.await,
        }
    }
}

#[cfg(test)]
impl<T> MaybeFuture<T> {
    /// The answer that is there.
    pub(crate) fn now(self) -> T {
        match self {
            Self::Now(answer) => answer,
            Self::Later(_) => panic!("the answer takes its time"),
        }
    }
}
