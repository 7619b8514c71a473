//! Fuzzing on the stable toolchain.
//!
//! A target first gets every file of its corpus, `tests/fuzz/corpus/TARGET/`, then inputs that a seeded generator makes
//! out of them: cut, joined, repeated, with flipped bits and with the words that the target's grammar knows. Unlike a
//! fuzzer that watches branches it needs no nightly compiler, so a short run belongs to every `cargo test`; long ones
//! are started with `tests/fuzz/run`, which sets `FUZZ_SECONDS`. An input that fails is kept under `target/fuzz/`.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Inputs of a short run, and where it ends if they are slow.
const SHORT_RUN: usize = 2000;
const SHORT_TIME: Duration = Duration::from_secs(5);
/// Bytes of an input.
const LONGEST: usize = 64 * 1024;
/// What breaks readers of any grammar.
const SHARP: [&[u8]; 14] = [
    b"\0",
    b"\r\n\r\n",
    b"\n\n",
    b"\\ud83d",
    b"\\ud83d\\ude00",
    b"\xed\xa0\xbd",
    b"\xff",
    b"\xef\xbb\xbf",
    "\u{1f600}".as_bytes(),
    b"{{",
    b"18446744073709551616",
    b"1e999",
    b"__proto__",
    b"\\\"",
];

/// Gives inputs to `check`, which panics if something does not hold.
pub(crate) fn fuzz(target: &str, words: &[&str], check: impl Fn(&[u8])) {
    let corpus = corpus(target);
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let seed = std::env::var("FUZZ_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| if seconds.is_some() { now() } else { 1 });
    let mut generator = Generator { state: seed, words };
    let start = Instant::now();
    let mut count = 0;
    let mut slowest = (Duration::ZERO, Vec::new());
    loop {
        let input = match corpus.get(count) {
            Some(input) => input.clone(),
            None => generator.input(&corpus),
        };
        let begun = Instant::now();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| check(&input)));
        let took = begun.elapsed();
        if let Err(panic) = outcome {
            let kept = keep(target, seed, count, &input);
            eprintln!("{target}: input {count} of seed {seed} fails and is kept as {}", kept.display());
            panic::resume_unwind(panic);
        }
        if took > slowest.0 {
            slowest = (took, input);
        }
        count += 1;
        let is_short = seconds.is_none() && count >= SHORT_RUN + corpus.len();
        let is_over = is_short || start.elapsed() >= seconds.unwrap_or(SHORT_TIME);
        if is_over && count >= corpus.len() {
            break;
        }
    }
    println!("{target}: {count} inputs, seed {seed}, slowest {:?} for {} bytes", slowest.0, slowest.1.len());
    if seconds.is_some() {
        keep(&format!("{target}-slowest"), seed, 0, &slowest.1);
    }
}

/// The files of a target's corpus, by name.
pub(crate) fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |since| since.as_secs())
}

fn keep(target: &str, seed: u64, count: usize, input: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{target}-{seed}-{count}"));
    fs::write(&path, input).unwrap();
    path
}

/// Makes inputs out of a corpus; the same for the same seed.
pub(crate) struct Generator<'a> {
    pub(crate) state: u64,
    pub(crate) words: &'a [&'a str],
}

impl Generator<'_> {
    /// Splitmix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`, or 0.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    /// The next input.
    pub(crate) fn input(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            self.change(&mut input, corpus);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let end = (at + 1 + self.below(32)).min(input.len()).max(at);
        match self.below(8) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 => drop(input.drain(at..end)),
            2 => drop(input.splice(at..at, SHARP[self.below(SHARP.len())].iter().copied())),
            3 if !self.words.is_empty() => {
                let word = self.words[self.below(self.words.len())];
                drop(input.splice(at..end, word.bytes()));
            }
            4 => {
                let again = input[at..end].repeat(1 + self.below(40));
                drop(input.splice(at..at, again));
            }
            5 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            6 => input.truncate(at),
            _ => {
                let byte = u8::try_from(self.below(256)).unwrap();
                input.insert(at, byte);
            }
        }
    }
}
