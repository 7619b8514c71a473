//! Work on texts that users and models send, as long as they like: others of the thread go on meanwhile, and what was made
//! of a text is made once.

use std::collections::HashMap;
use std::sync::Arc;

use super::plain;
use crate::engine::contract::failure::Failure;

/// Bytes from which on a text is worked on elsewhere: those take longer than a run's turn.
const LARGE: usize = 16 * 1024;

/// Does work on so many bytes: here, or apart from the runs of this thread.
pub(super) async fn apart<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    if bytes < LARGE {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| Failure::flow("The conditions cannot be compared."))
}

/// Texts without their Markdown.
#[derive(Debug, Default)]
pub(super) struct PlainTexts(HashMap<String, Arc<str>>);

impl PlainTexts {
    pub(super) async fn of(&mut self, text: String) -> Result<Arc<str>, Failure> {
        if let Some(known) = self.0.get(&text) {
            return Ok(Arc::clone(known));
        }
        let (text, made) = apart(text.len(), move || {
            let made = Arc::from(plain::of(&text));
            (text, made)
        })
        .await?;
        self.0.insert(text, Arc::clone(&made));
        Ok(made)
    }
}
