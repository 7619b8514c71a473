//! Runs of characters that a model's tokenizer does not cut.
//!
//! Flowise counts tokens in its only thread, and its tokenizer (js-tiktoken) merges the bytes of each piece of text with
//! quadratic effort: 1,000 bytes take 0.1 s, 4,500 about 1.5 s, 8,000 over 6 s. A piece is what the tables' patterns (gpt2,
//! cl100k, o200k) do not cut: letters with their marks, digits, other signs with the line breaks behind them, white space.
//! What is measured here is never shorter than a piece of any table.

mod marks;

use self::marks::is_mark;

/// Bytes of a run that costs next to nothing.
const FREE: u64 = 256;
/// Bytes within which nearly every text is cut.
const STRIDE: usize = 128;

/// How long runs may be.
///
/// A run has a length of its characters: those of three bytes and more count twice, for bytes are what costs. But letters of
/// scripts that write without spaces count two thirds, or people could not write them. All runs of a request that
/// are not free may cost together what the longest that is allowed costs alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LetterRunLimit {
    thirds: u64,
    /// Bytes, squared.
    cost: u64,
}

impl LetterRunLimit {
    pub(crate) fn new(most: usize) -> Self {
        let most = most as u64;
        let longest = most.saturating_mul(9) / 2;
        Self { thirds: most.saturating_mul(3), cost: longest.saturating_mul(longest) }
    }
}

/// Which run is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LongRun {
    Letters,
    Digits,
    Signs,
    Space,
    /// None, but all together.
    Together,
}

impl LongRun {
    /// What a text holds, for a sentence.
    pub(crate) fn described(self, most: usize) -> String {
        match self {
            Self::Letters => format!("a word of more than {most} letters"),
            Self::Digits => format!("more than {most} digits in a row"),
            Self::Signs => format!("more than {most} signs in a row"),
            Self::Space => format!("more than {most} spaces or line breaks in a row"),
            Self::Together => "too many long words".to_owned(),
        }
    }
}

/// Measures a whole text; `spent`: what others of the same request have cost. What they cost with it.
pub(crate) fn measure(text: &str, limit: LetterRunLimit, spent: u64) -> Result<u64, LongRun> {
    if limit.thirds >= 3 * FREE && is_cut_often(text.as_bytes()) {
        return Ok(spent);
    }
    let mut runs = Runs::new(limit, spent);
    runs.push(text)?;
    runs.end()
}

/// Whether no run can be longer than [`FREE`]: where an ASCII letter meets another ASCII character, all runs end.
fn is_cut_often(bytes: &[u8]) -> bool {
    let is_cut = |pair: &[u8]| match pair {
        [a, b] => a.is_ascii() && b.is_ascii() && a.is_ascii_alphabetic() != b.is_ascii_alphabetic(),
        _ => false,
    };
    bytes.chunks_exact(STRIDE).all(|chunk| chunk.windows(2).any(is_cut))
}

#[derive(Debug, Clone, Copy, Default)]
struct LetterRun {
    thirds: u64,
    bytes: u64,
}

const LETTERS: fn(&mut Runs) -> &mut LetterRun = |runs| &mut runs.letters;
const DIGITS: fn(&mut Runs) -> &mut LetterRun = |runs| &mut runs.digits;
const SIGNS: fn(&mut Runs) -> &mut LetterRun = |runs| &mut runs.signs;
const SPACE: fn(&mut Runs) -> &mut LetterRun = |runs| &mut runs.space;

/// A text that comes piece by piece.
#[derive(Debug)]
pub(crate) struct Runs {
    limit: LetterRunLimit,
    spent: u64,
    letters: LetterRun,
    digits: LetterRun,
    signs: LetterRun,
    space: LetterRun,
    /// The signs are followed by a line break: of other signs, only a slash belongs to them.
    is_broken: bool,
}

impl Runs {
    pub(crate) fn new(limit: LetterRunLimit, spent: u64) -> Self {
        let none = LetterRun::default();
        Self { limit, spent, letters: none, digits: none, signs: none, space: none, is_broken: false }
    }

    pub(crate) fn push(&mut self, text: &str) -> Result<(), LongRun> {
        text.chars().try_for_each(|letter| self.take(letter))
    }

    /// What it has cost, with what was spent before.
    pub(crate) fn end(&mut self) -> Result<u64, LongRun> {
        for run in [self.letters, self.digits, self.signs, self.space] {
            self.pay(run)?;
        }
        Ok(self.spent)
    }

    fn take(&mut self, letter: char) -> Result<(), LongRun> {
        if letter.is_alphabetic() {
            self.cut(DIGITS)?;
            self.cut(SIGNS)?;
            self.cut(SPACE)?;
            self.letters = self.longer(self.letters, letter, LongRun::Letters)?;
        } else if letter.is_numeric() {
            self.cut(LETTERS)?;
            self.cut(SIGNS)?;
            self.cut(SPACE)?;
            self.digits = self.longer(self.digits, letter, LongRun::Digits)?;
        } else if letter.is_whitespace() || letter == '\u{feff}' {
            self.cut(LETTERS)?;
            self.cut(DIGITS)?;
            if matches!(letter, '\r' | '\n') && self.signs.bytes > 0 {
                self.is_broken = true;
                self.signs = self.longer(self.signs, letter, LongRun::Signs)?;
            } else {
                self.cut(SIGNS)?;
            }
            self.space = self.longer(self.space, letter, LongRun::Space)?;
        } else {
            self.cut(DIGITS)?;
            self.cut(SPACE)?;
            if std::mem::take(&mut self.is_broken) && letter != '/' {
                self.cut(SIGNS)?;
            }
            self.signs = self.longer(self.signs, letter, LongRun::Signs)?;
            if is_mark(letter) {
                self.letters = self.longer(self.letters, letter, LongRun::Letters)?;
            } else {
                self.cut(LETTERS)?;
            }
        }
        Ok(())
    }

    fn longer(&self, run: LetterRun, letter: char, kind: LongRun) -> Result<LetterRun, LongRun> {
        let weight = match letter.len_utf8() {
            1 | 2 => 3,
            _ if is_dense(letter) => 2,
            _ => 6,
        };
        let run = LetterRun { thirds: run.thirds + weight, bytes: run.bytes + letter.len_utf8() as u64 };
        if run.thirds > self.limit.thirds { Err(kind) } else { Ok(run) }
    }

    /// Ends a run.
    fn cut(&mut self, run: fn(&mut Self) -> &mut LetterRun) -> Result<(), LongRun> {
        let ended = std::mem::take(run(self));
        self.pay(ended)
    }

    fn pay(&mut self, run: LetterRun) -> Result<(), LongRun> {
        if run.bytes <= FREE {
            return Ok(());
        }
        self.spent = self.spent.saturating_add(run.bytes.saturating_mul(run.bytes));
        if self.spent > self.limit.cost { Err(LongRun::Together) } else { Ok(()) }
    }
}

/// Of scripts that write without spaces: those of East and South-East Asia.
fn is_dense(letter: char) -> bool {
    matches!(u32::from(letter),
        // Thai, Lao, Tibetan, Burmese, Hangul's parts
        0x0e00..=0x109f | 0x1100..=0x11ff
        // Khmer, Tai scripts, Balinese
        | 0x1780..=0x17ff | 0x1950..=0x1aaf | 0x1b00..=0x1b7f
        // Chinese, Japanese, Yi
        | 0x2e80..=0x2fff | 0x3005..=0x3007 | 0x3021..=0x9fff | 0xa000..=0xa4cf
        // Javanese, more of Burmese and of Tai, Korean
        | 0xa960..=0xa9ff | 0xaa60..=0xaadf | 0xac00..=0xd7ff
        // Other forms of these
        | 0xf900..=0xfaff | 0xff66..=0xffdc | 0x16fe0..=0x18cff | 0x1aff0..=0x1b2ff | 0x20000..=0x3ffff)
}

/// A text of bytes that are cut anywhere; what is no UTF-8 counts as the sign that stands for it.
#[derive(Debug)]
pub(crate) struct ByteRuns {
    runs: Runs,
    /// The beginning of a character.
    held: Vec<u8>,
}

impl ByteRuns {
    pub(crate) fn new(limit: LetterRunLimit, spent: u64) -> Self {
        Self { runs: Runs::new(limit, spent), held: Vec::new() }
    }

    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), LongRun> {
        let joined;
        let mut rest = piece;
        if !self.held.is_empty() {
            joined = [&*std::mem::take(&mut self.held), piece].concat();
            rest = &joined;
        }
        while let Err(error) = std::str::from_utf8(rest) {
            let (sound, after) = rest.split_at(error.valid_up_to());
            self.runs.push(std::str::from_utf8(sound).unwrap_or_default())?;
            let Some(length) = error.error_len() else {
                self.held = after.to_vec();
                return Ok(());
            };
            self.runs.push("\u{fffd}")?;
            rest = after.get(length..).unwrap_or_default();
        }
        self.runs.push(std::str::from_utf8(rest).unwrap_or_default())
    }

    pub(crate) fn end(&mut self) -> Result<u64, LongRun> {
        self.runs.end()
    }
}

#[cfg(test)]
mod tests;
