//! A model whose answers are kept, and given again to whoever asks the same.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};

use crate::engine::contract::Task;
use crate::engine::contract::message::Usage;
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::run::Run;

/// Bytes of one flow's answers.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Beside its texts, of one answer.
const OF_EACH: usize = 1024;

/// A digest of what was asked.
pub(crate) type AskedDigest = [u8; 32];

/// Where answers are kept.
pub(crate) trait AnswerStore: fmt::Debug + Send + Sync {
    fn find<'a>(&'a self, asked: &'a AskedDigest, run: &'a Run<'a>) -> Task<'a, Option<ModelAnswer>>;

    fn put<'a>(&'a self, asked: &'a AskedDigest, answer: &'a ModelAnswer, run: &'a Run<'a>) -> Task<'a, ()>;
}

/// Answers by what was asked; the oldest make room.
#[derive(Default)]
pub(crate) struct AnswerCache(Mutex<KnownAnswers>);

#[derive(Default)]
struct KnownAnswers {
    answers: HashMap<[u8; 32], (Instant, ModelAnswer)>,
    /// How long one is given; `None`: as long as there is room.
    lives: Option<Duration>,
    order: VecDeque<[u8; 32]>,
    bytes: usize,
}

impl fmt::Debug for AnswerCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerCache")
    }
}

fn size(answer: &ModelAnswer) -> usize {
    let calls: usize = answer.calls.iter().map(|call| call.name.len() + call.arguments.to_string().len()).sum();
    OF_EACH + answer.text.len() + answer.thinking.len() + calls
}

impl AnswerCache {
    /// None of its answers is given when it is older.
    pub(crate) fn live(&self, time: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lives = Some(time);
    }

    fn get(&self, asked: &[u8; 32]) -> Option<ModelAnswer> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, answer) = known.answers.get(asked)?;
        known.lives.is_none_or(|time| since.elapsed() < time).then(|| answer.clone())
    }

    fn keep(&self, asked: [u8; 32], answer: &ModelAnswer) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.answers.insert(asked, (Instant::now(), answer.clone())) {
            None => known.order.push_back(asked),
            Some((_, before)) => known.bytes = known.bytes.saturating_sub(size(&before)),
        }
        known.bytes += size(answer);
        while known.bytes > MOST_BYTES
            && let Some(oldest) = known.order.pop_front()
        {
            let freed = known.answers.remove(&oldest).map_or(0, |(_, answer)| size(&answer));
            known.bytes = known.bytes.saturating_sub(freed);
        }
    }
}

impl AnswerStore for AnswerCache {
    fn find<'a>(&'a self, asked: &'a AskedDigest, _run: &'a Run<'a>) -> Task<'a, Option<ModelAnswer>> {
        Box::pin(async { Ok(self.get(asked)) })
    }

    fn put<'a>(&'a self, asked: &'a AskedDigest, answer: &'a ModelAnswer, _run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async {
            self.keep(*asked, answer);
            Ok(())
        })
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct CachedModel {
    pub(crate) model: Arc<dyn ChatModel>,
    pub(crate) cache: Arc<dyn AnswerStore>,
}

impl CachedModel {
    /// The model with its settings, and all that it is asked.
    fn asked(&self, ask: ModelRequest<'_>) -> AskedDigest {
        let mut digest = Context::new(&SHA256);
        let parts = [
            format!("{:?}", self.model),
            format!("{:?}", ask.messages),
            format!("{:?}", ask.tools),
            // What else changes the answer.
            format!("{:?} {:?} {}", ask.schema, ask.stop, ask.must_call),
        ];
        for part in parts {
            digest.update(&part.len().to_le_bytes());
            digest.update(part.as_bytes());
        }
        digest.finish().as_ref().try_into().unwrap_or_default()
    }
}

impl ChatModel for CachedModel {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, run: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async move {
            let asked = self.asked(ask);
            // One that does not answer is no reason not to ask the model.
            let known = match self.cache.find(&asked, run).await {
                Err(failure) if failure.ends_run() => return Err(failure),
                known => known.ok().flatten(),
            };
            if let Some(answer) = known {
                ask.tell(&answer.text);
                // Nobody counts them twice.
                return Ok(ModelAnswer { usage: Usage::default(), ..answer });
            }
            // Whoever asks next may show what is kept with it.
            let answer = self.model.chat(ModelRequest { described: true, ..ask }, run).await?;
            match self.cache.put(&asked, &answer, run).await {
                Err(failure) if failure.ends_run() => Err(failure),
                _ => Ok(answer),
            }
        })
    }

    fn name(&self) -> &str {
        self.model.name()
    }

    fn provider(&self) -> &'static str {
        self.model.provider()
    }

    fn sees_images(&self) -> bool {
        self.model.sees_images()
    }

    fn has_token_table(&self) -> bool {
        self.model.has_token_table()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Silent;

    impl ChatModel for Silent {
        fn chat<'a>(&'a self, _: ModelRequest<'a>, _: &'a Run<'a>) -> Task<'a, ModelAnswer> {
            Box::pin(async { Ok(ModelAnswer::default()) })
        }

        fn name(&self) -> &'static str {
            "silent"
        }
    }

    #[test]
    fn an_answer_lives_as_long_as_it_may() {
        let cache = AnswerCache::default();
        cache.keep([1; 32], &ModelAnswer::default());
        assert_eq!(cache.get(&[1; 32]), Some(ModelAnswer::default()));
        cache.live(Duration::ZERO);
        assert_eq!(cache.get(&[1; 32]), None);
        cache.keep([1; 32], &ModelAnswer::default());
        let known = cache.0.lock().unwrap();
        assert_eq!((known.order.len(), known.bytes), (1, OF_EACH));
    }

    #[test]
    fn all_that_changes_an_answer_is_in_the_key() {
        let model = CachedModel { model: Arc::new(Silent), cache: Arc::new(AnswerCache::default()) };
        let plain = ModelRequest::of(&[]);
        let others = [plain.ending_before(&["Observation:"]), ModelRequest { must_call: true, ..plain }];
        assert_eq!(model.asked(plain), model.asked(plain));
        assert!(others.into_iter().all(|other| model.asked(other) != model.asked(plain)));
    }
}
