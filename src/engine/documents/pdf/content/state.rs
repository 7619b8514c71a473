//! Where text stands on a page, and the piece of text that is being put together.

use std::rc::Rc;

use crate::engine::documents::pdf::font::PdfFont;

/// Units of one piece of text: spaces cost nothing to ask for.
pub(super) const LONGEST_ITEM: usize = 1 << 20;

/// Of a space's width: from there on a space is told, from there on several, and from there on it is another text.
const SPACE: f64 = 0.3;
const SPACES: f64 = 1.5;
const BREAK: f64 = 4.0;

pub(super) type Matrix = [f64; 6];
pub(super) const IDENTITY: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

pub(super) fn product(one: &Matrix, other: &Matrix) -> Matrix {
    [
        one[0] * other[0] + one[2] * other[1],
        one[1] * other[0] + one[3] * other[1],
        one[0] * other[2] + one[2] * other[3],
        one[1] * other[2] + one[3] * other[3],
        one[0] * other[4] + one[2] * other[5] + one[4],
        one[1] * other[4] + one[3] * other[5] + one[5],
    ]
}

pub(super) fn moved(matrix: &mut Matrix, x: f64, y: f64) {
    matrix[4] += matrix[0] * x + matrix[2] * y;
    matrix[5] += matrix[1] * x + matrix[3] * y;
}

#[derive(Debug, Clone)]
pub(super) struct TextState {
    pub(super) page: Matrix,
    pub(super) text: Matrix,
    pub(super) line: Matrix,
    pub(super) font: Option<Rc<PdfFont>>,
    pub(super) font_name: Option<Rc<str>>,
    pub(super) size: f64,
    pub(super) letter_spacing: f64,
    pub(super) word_spacing: f64,
    pub(super) leading: f64,
    /// Of the width.
    pub(super) stretch: f64,
    pub(super) rise: f64,
}

/// The piece that is being put together.
#[derive(Debug, Default)]
pub(super) struct OpenItem {
    pub(super) is_open: bool,
    pub(super) units: Vec<u16>,
    pub(super) y: f64,
    pub(super) last_width: f64,
    pub(super) last_height: f64,
    pub(super) space: f64,
    pub(super) least: f64,
    pub(super) several: f64,
    pub(super) most: f64,
    pub(super) may_break: bool,
    pub(super) is_vertical: bool,
}

impl TextState {
    pub(super) fn set(&mut self, word: &str, first: f64, second: f64) {
        match word {
            "Ts" => self.rise = first,
            "Tz" => self.stretch = first / 100.0,
            "TL" => self.leading = first,
            "BT" => (self.text, self.line) = (IDENTITY, IDENTITY),
            "TD" => {
                self.leading = -second;
                moved(&mut self.line, first, second);
                self.text = self.line;
            }
            _ => self.next_line(),
        }
    }

    pub(super) fn next_line(&mut self) {
        moved(&mut self.line, 0.0, -self.leading);
        self.text = self.line;
    }

    /// How far a matrix is along the line; `None`: it is not on it.
    pub(super) fn advance_to(&self, to: &Matrix) -> Option<(f64, f64, f64)> {
        let font = self.font.as_ref()?;
        let from = &self.line;
        let is_like = from.iter().zip(to).take(4).all(|(from, to)| from.to_bits() == to.to_bits());
        let (across, up) = (to[4] - from[4], to[5] - from[5]);
        if !is_like || (if font.is_vertical { across } else { up }) != 0.0 {
            return None;
        }
        let [a, b, c, d, ..] = *to;
        let whole = a * d - b * c;
        Some(if font.is_vertical {
            let (width, height) = (-up * c / whole, up * a / whole);
            (width, height, height)
        } else {
            let (width, height) = (across * d / whole, -across * b / whole);
            (width, height, width)
        })
    }
}

impl OpenItem {
    pub(super) fn begin(&mut self, state: &TextState, font: &PdfFont) {
        if self.is_open {
            return;
        }
        let own = [state.size * state.stretch, 0.0, 0.0, state.size, 0.0, state.rise];
        self.y = product(&state.page, &product(&state.text, &own))[5];
        self.is_vertical = font.is_vertical;
        (self.last_width, self.last_height) = (0.0, 0.0);
        let space = font.space_width / 1000.0 * state.size;
        if space == 0.0 || space.is_nan() {
            (self.space, self.least, self.several, self.most) = (0.0, f64::INFINITY, f64::INFINITY, 0.0);
            self.may_break = false;
        } else {
            (self.space, self.least, self.several, self.most) = (space, space * SPACE, space * SPACES, space * BREAK);
            self.may_break = !font.is_monospaced;
        }
        self.is_open = true;
    }

    pub(super) fn add(&mut self, state: &mut TextState, font: &PdfFont, text: &[u8]) {
        let (mut width, mut height) = (0.0, 0.0);
        font.letters_of(text, |letter| {
            let mut spacing = state.letter_spacing;
            if letter.is_space {
                spacing += state.word_spacing;
                if state.word_spacing > 0.0 {
                    self.add_spaces(state.word_spacing);
                }
            }
            let advance = letter.width * font.scale;
            if font.is_vertical {
                let down = advance * state.size + spacing;
                height += down;
                moved(&mut state.text, 0.0, down);
            } else {
                let along = (advance * state.size + spacing) * state.stretch;
                width += along;
                moved(&mut state.text, along, 0.0);
            }
            self.units.extend_from_slice(&letter.units);
        });
        if font.is_vertical { self.last_height = height } else { self.last_width = width }
    }

    pub(super) fn add_spaces(&mut self, width: f64) {
        if width < self.least || width.is_nan() || self.units.len() > LONGEST_ITEM {
            return;
        }
        if width < self.several {
            self.units.push(u16::from(b' '));
            return;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "too many are as many as fit")]
        let count = (width / self.space + 0.5).floor().clamp(0.0, 65536.0) as usize;
        self.units.resize(self.units.len() + count, u16::from(b' '));
    }
}
