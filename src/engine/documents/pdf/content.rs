//! What a page says: its content stream is followed as far as it shows text. Where texts are put together and where a
//! space is told that is not in the file goes by distances, as in pdf.js 1.10.

mod state;

use std::collections::HashMap;
use std::rc::Rc;

use self::state::{IDENTITY, LONGEST_ITEM, Matrix, OpenItem, TextState, moved, product};
use super::bidi;
use super::budget::PdfLimitExceeded;
use super::file::PdfFile;
use super::font::PdfFont;
use super::lexer::PdfLexer;
use super::object::{PdfFields, PdfId, PdfObject, PdfStream};

/// Forms within forms.
const DEEPEST: usize = 12;
/// States that are put away.
const MOST_STATES: usize = 1 << 12;

/// A piece of text, and its height on the page.
#[derive(Debug)]
pub(super) struct TextItem {
    pub(super) text: String,
    pub(super) y: f64,
}

/// Fonts by their number.
pub(super) type PdfFonts = HashMap<PdfId, Rc<PdfFont>>;

/// See the module.
pub(super) struct PageReader<'f, 'b> {
    pub(super) file: &'f PdfFile<'b>,
    pub(super) fonts: &'f mut PdfFonts,
    pub(super) items: Vec<TextItem>,
}

/// What one stream is read with.
struct ContentScope {
    state: TextState,
    kept: Vec<TextState>,
    open: OpenItem,
    resources: Rc<PdfFields>,
    /// Arguments that were too many for their word.
    surplus: Vec<PdfObject>,
}

/// Whether the stream goes on.
enum ContentStep {
    On,
    /// It shows text without a font.
    Ends,
}

/// Words by how many arguments they have.
const WORDS: &[(usize, &str)] = &[
    (0, " BT ET Q T* q h S s f F f* B B* b b* n W W* EMC BX EX "),
    (1, " ' Do TJ TL Tc Tj Tr Ts Tw Tz gs w J j M ri i CS cs G g sh MP BMC "),
    (2, " TD Td Tf d m l DP BDC d0 "),
    (3, " \" RG rg "),
    (4, " v y re K k "),
    (6, " Tm cm c d1 "),
];
/// Those that take as many as come.
const OPEN_WORDS: &[&str] = &["SC", "sc", "SCN", "scn"];

impl PageReader<'_, '_> {
    /// Reads a page's content.
    pub(super) fn page(&mut self, content: &[u8], resources: Rc<PdfFields>) -> Result<(), PdfLimitExceeded> {
        let state = TextState {
            page: IDENTITY,
            text: IDENTITY,
            line: IDENTITY,
            font: None,
            font_name: None,
            size: 0.0,
            letter_spacing: 0.0,
            word_spacing: 0.0,
            leading: 0.0,
            stretch: 1.0,
            rise: 0.0,
        };
        self.stream(content, resources, state, 0)
    }

    fn stream(
        &mut self,
        content: &[u8],
        resources: Rc<PdfFields>,
        state: TextState,
        depth: usize,
    ) -> Result<(), PdfLimitExceeded> {
        self.file.budget.bytes(content.len())?;
        let mut scope =
            ContentScope { state, kept: Vec::new(), open: OpenItem::default(), resources, surplus: Vec::new() };
        let mut lexer = PdfLexer::new(content, 0, false, self.file.budget);
        let mut arguments: Vec<PdfObject> = Vec::new();
        while let Some(object) = lexer.object()? {
            let PdfObject::Word(word) = object else {
                arguments.push(object);
                // pdf.js gives a page up where more come without a word.
                if arguments.len() > 33 {
                    break;
                }
                continue;
            };
            if &*word == "BI" {
                skip_picture(&mut lexer)?;
                arguments.clear();
                continue;
            }
            let spaced = format!(" {word} ");
            let Some((count, _)) = WORDS.iter().find(|(_, words)| words.contains(&spaced)) else {
                if OPEN_WORDS.contains(&&*word) {
                    arguments.clear();
                }
                continue;
            };
            while arguments.len() > *count {
                scope.surplus.push(arguments.remove(0));
            }
            while arguments.len() < *count
                && let Some(left) = scope.surplus.pop()
            {
                arguments.insert(0, left);
            }
            scope.surplus.truncate(64);
            let is_whole = arguments.len() == *count;
            if is_whole && matches!(self.word(&word, &arguments, &mut scope, depth)?, ContentStep::Ends) {
                break;
            }
            arguments.clear();
        }
        self.close(&mut scope.open)
    }

    fn word(
        &mut self,
        word: &str,
        arguments: &[PdfObject],
        scope: &mut ContentScope,
        depth: usize,
    ) -> Result<ContentStep, PdfLimitExceeded> {
        let number = |at: usize| arguments.get(at).and_then(PdfObject::number).unwrap_or(0.0);
        match word {
            "q" if scope.kept.len() < MOST_STATES => scope.kept.push(scope.state.clone()),
            "Q" => {
                if let Some(kept) = scope.kept.pop() {
                    scope.state = kept;
                }
            }
            "cm" => scope.state.page = product(&scope.state.page, &std::array::from_fn(number)),
            "Tf" => self.set_font(arguments, scope)?,
            "Ts" | "Tz" | "TL" | "BT" | "TD" | "T*" => {
                self.close(&mut scope.open)?;
                scope.state.set(word, number(0), number(1));
            }
            "Tc" => scope.state.letter_spacing = number(0),
            "Tw" => scope.state.word_spacing = number(0),
            "Td" => self.move_text(number(0), number(1), scope)?,
            "Tm" => self.set_matrix(&std::array::from_fn(number), scope)?,
            "Tj" => return self.show(arguments.first(), scope),
            "'" => {
                self.close(&mut scope.open)?;
                scope.state.next_line();
                return self.show(arguments.first(), scope);
            }
            "\"" => {
                self.close(&mut scope.open)?;
                (scope.state.word_spacing, scope.state.letter_spacing) = (number(0), number(1));
                scope.state.next_line();
                return self.show(arguments.get(2), scope);
            }
            "TJ" => return self.show_spaced(arguments.first(), scope),
            "Do" => {
                self.close(&mut scope.open)?;
                self.form(arguments.first(), scope, depth)?;
            }
            "gs" => {
                self.close(&mut scope.open)?;
                self.graphics_state(arguments.first(), scope)?;
            }
            _ => {}
        }
        Ok(ContentStep::On)
    }

    fn close(&mut self, open: &mut OpenItem) -> Result<(), PdfLimitExceeded> {
        if !open.is_open {
            return Ok(());
        }
        open.is_open = false;
        let units = std::mem::take(&mut open.units);
        self.file.budget.letters(units.len() + 8)?;
        self.items.push(TextItem { text: bidi::in_order(&units, open.is_vertical), y: open.y });
        Ok(())
    }

    fn set_font(&mut self, arguments: &[PdfObject], scope: &mut ContentScope) -> Result<(), PdfLimitExceeded> {
        let name = arguments.first().and_then(PdfObject::name).cloned();
        let size = arguments.get(1).and_then(PdfObject::number).unwrap_or(0.0);
        let state = &mut scope.state;
        if state.font.is_some() && state.font_name == name && state.size.to_bits() == size.to_bits() {
            return Ok(());
        }
        self.close(&mut scope.open)?;
        state.size = size;
        let fonts = self.file.field(&scope.resources, "Font")?;
        let font = name.as_ref().and_then(|name| fonts.fields()?.get(name));
        state.font_name = name;
        state.font = Some(self.font(font)?);
        Ok(())
    }

    fn font(&mut self, found: Option<&PdfObject>) -> Result<Rc<PdfFont>, PdfLimitExceeded> {
        let Some(found) = found else { return Ok(Rc::new(PdfFont::broken())) };
        if let PdfObject::Ref(id) = found
            && let Some(font) = self.fonts.get(id)
        {
            return Ok(Rc::clone(font));
        }
        let fields = self.file.resolved(found)?;
        let font = Rc::new(match fields.fields() {
            Some(fields) => PdfFont::read(self.file, fields)?,
            None => PdfFont::broken(),
        });
        if let PdfObject::Ref(id) = found {
            self.fonts.insert(*id, Rc::clone(&font));
        }
        Ok(font)
    }

    /// Along the line, near enough, it is the same piece.
    fn move_text(&mut self, x: f64, y: f64, scope: &mut ContentScope) -> Result<(), PdfLimitExceeded> {
        let (state, open) = (&mut scope.state, &mut scope.open);
        let is_same_line = state.font.as_ref().is_some_and(|font| if font.is_vertical { x } else { y } == 0.0);
        let advance = x - y;
        if is_same_line && open.is_open && advance > 0.0 && advance <= open.most {
            moved(&mut state.line, x, y);
            open.add_spaces(x - open.last_width - (y - open.last_height));
            return self.has_room(open);
        }
        self.close(open)?;
        moved(&mut state.line, x, y);
        state.text = state.line;
        Ok(())
    }

    fn set_matrix(&mut self, matrix: &Matrix, scope: &mut ContentScope) -> Result<(), PdfLimitExceeded> {
        let (state, open) = (&mut scope.state, &mut scope.open);
        if let Some((width, height, value)) = state.advance_to(matrix)
            && open.is_open
            && value > 0.0
            && value <= open.most
        {
            moved(&mut state.line, width, height);
            open.add_spaces(width - open.last_width - (height - open.last_height));
            return self.has_room(open);
        }
        self.close(open)?;
        (state.text, state.line) = (*matrix, *matrix);
        Ok(())
    }

    fn has_room(&self, open: &OpenItem) -> Result<(), PdfLimitExceeded> {
        if open.units.len() > LONGEST_ITEM { Err(PdfLimitExceeded) } else { self.file.budget.letters(0) }
    }

    fn show(&mut self, text: Option<&PdfObject>, scope: &mut ContentScope) -> Result<ContentStep, PdfLimitExceeded> {
        let Some(font) = scope.state.font.clone() else { return Ok(ContentStep::Ends) };
        let Some(text) = text.and_then(PdfObject::text) else { return Ok(ContentStep::Ends) };
        scope.open.begin(&scope.state, &font);
        scope.open.add(&mut scope.state, &font, text);
        self.has_room(&scope.open)?;
        Ok(ContentStep::On)
    }

    fn show_spaced(
        &mut self,
        list: Option<&PdfObject>,
        scope: &mut ContentScope,
    ) -> Result<ContentStep, PdfLimitExceeded> {
        let Some(list) = list.and_then(PdfObject::list) else { return Ok(ContentStep::Ends) };
        for item in list.iter() {
            let Some(font) = scope.state.font.clone() else { return Ok(ContentStep::Ends) };
            let (state, open) = (&mut scope.state, &mut scope.open);
            if let Some(text) = item.text() {
                open.begin(state, &font);
                open.add(state, &font, text);
                self.has_room(open)?;
            } else if let Some(number) = item.number() {
                open.begin(state, &font);
                let mut advance = number * state.size / 1000.0;
                if font.is_vertical {
                    moved(&mut state.text, 0.0, advance);
                } else {
                    advance = -advance;
                    moved(&mut state.text, advance * state.stretch, 0.0);
                }
                if open.may_break && advance > open.most {
                    self.close(open)?;
                } else if advance > 0.0 {
                    open.add_spaces(advance);
                    self.has_room(open)?;
                }
            }
        }
        Ok(ContentStep::On)
    }

    fn form(
        &mut self,
        name: Option<&PdfObject>,
        scope: &mut ContentScope,
        depth: usize,
    ) -> Result<(), PdfLimitExceeded> {
        let forms = self.file.field(&scope.resources, "XObject")?;
        let (Some(name), Some(forms)) = (name.and_then(PdfObject::name), forms.fields()) else { return Ok(()) };
        let form = self.file.field(forms, name)?;
        let Some(stream) = form.stream().filter(|stream| is_form(stream)) else { return Ok(()) };
        if depth >= DEEPEST {
            return Ok(());
        }
        let mut state = scope.state.clone();
        let matrix = self.file.field(&stream.fields, "Matrix")?;
        let numbers = self.file.each(&matrix)?;
        if numbers.len() == 6 {
            let number = |at: usize| numbers.get(at).and_then(PdfObject::number).unwrap_or(0.0);
            state.page = product(&state.page, &std::array::from_fn(number));
        }
        let own = self.file.field(&stream.fields, "Resources")?;
        let resources = own.fields().map_or_else(|| Rc::clone(&scope.resources), Rc::clone);
        let content = self.file.unpacked(stream)?;
        self.stream(&content, resources, state, depth + 1)
    }

    fn graphics_state(&mut self, name: Option<&PdfObject>, scope: &mut ContentScope) -> Result<(), PdfLimitExceeded> {
        let states = self.file.field(&scope.resources, "ExtGState")?;
        let (Some(name), Some(states)) = (name.and_then(PdfObject::name), states.fields()) else { return Ok(()) };
        let found = self.file.field(states, name)?;
        let Some(fields) = found.fields() else { return Ok(()) };
        let font = self.file.field(fields, "Font")?;
        let Some([font, size, ..]) = font.list().map(|list| list.as_slice()) else { return Ok(()) };
        scope.state.font_name = None;
        scope.state.size = self.file.resolved(size)?.number().unwrap_or(0.0);
        scope.state.font = Some(self.font(Some(font))?);
        Ok(())
    }
}

fn is_form(stream: &PdfStream) -> bool {
    stream.fields.get("Subtype").and_then(PdfObject::name).is_some_and(|name| **name == *"Form")
}

/// A picture that stands in the stream itself: its end is looked for.
fn skip_picture(lexer: &mut PdfLexer<'_>) -> Result<(), PdfLimitExceeded> {
    while let Some(object) = lexer.object()? {
        if object.is_word("ID") {
            break;
        }
    }
    let rest = lexer.bytes.get(lexer.at..).unwrap_or_default();
    let is_end = |at: &usize| {
        let after = rest.get(at + 2..).unwrap_or_default();
        let is_apart = matches!(after.first(), None | Some(b' ' | b'\n' | b'\r'));
        is_apart && after.iter().skip(1).take(10).all(|byte| matches!(byte, 0 | b'\n' | b'\r' | b' '..=0x7f))
    };
    let end = memchr::memmem::find_iter(rest, b"EI").find(is_end);
    lexer.at = end.map_or(lexer.bytes.len(), |end| lexer.at + end + 2);
    Ok(())
}
