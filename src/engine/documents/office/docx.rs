//! The text of Word files, as `mammoth` tells it: paragraphs with an empty line after each, without notes and headers.

use super::xml::{XmlDocument, XmlElement};
use super::zip::ZipFolder;

const MAIN: &str = "word/document.xml";

/// The text of a file; empty: it has none.
///
/// # Errors
/// It is no such file, or too large.
pub(crate) fn read(bytes: &[u8]) -> Result<String, String> {
    let no_file = || "the file is no Word file (DOCX), or it is damaged".to_owned();
    let folder = ZipFolder::open(bytes).ok_or_else(no_file)?;
    let main = main_part(&folder)?.unwrap_or_else(|| MAIN.to_owned());
    let text = folder.text(&main)?.ok_or_else(no_file)?;
    let document = XmlDocument::parse(&text)?;
    let body = document.root()?.first("w:body").ok_or_else(no_file)?;
    let mut reader = WordReader::default();
    let told = reader.all(body.elements());
    Ok(told.text + &told.extra)
}

/// Where the folder says that the text is.
fn main_part(folder: &ZipFolder<'_>) -> Result<Option<String>, String> {
    let Some(relations) = folder.text("_rels/.rels")? else { return Ok(None) };
    let relations = XmlDocument::parse(&relations)?;
    let main = relations.root()?.elements().find(|relation| {
        relation.attribute("Type").is_some_and(|kind| kind.ends_with("/relationships/officeDocument"))
    });
    Ok(main.and_then(|main| main.attribute("Target")).map(|target| target.trim_start_matches('/').to_owned()))
}

/// What an element tells: where it stands, and behind the paragraph that it is in.
#[derive(Debug, Default)]
struct WordText {
    text: String,
    extra: String,
}

impl WordText {
    fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), extra: String::new() }
    }

    /// What is alone in an element, in another, in another ... is copied for none of them.
    fn add(&mut self, Self { text, extra }: Self) {
        for (whole, more) in [(&mut self.text, text), (&mut self.extra, extra)] {
            if whole.is_empty() { *whole = more } else { whole.push_str(&more) }
        }
    }
}

#[derive(Debug, Default)]
struct WordReader<'x> {
    /// What paragraphs hold that somebody has deleted: it is the next one's.
    left_over: Vec<XmlElement<'x>>,
}

impl<'x> WordReader<'x> {
    fn all(&mut self, elements: impl IntoIterator<Item = XmlElement<'x>>) -> WordText {
        let mut told = WordText::default();
        for element in elements {
            told.add(self.element(element));
        }
        told
    }

    fn element(&mut self, element: XmlElement<'x>) -> WordText {
        match element.name() {
            "w:p" => self.paragraph(element),
            "w:t" => WordText::of(element.text()),
            "w:tab" => WordText::of("\t"),
            "w:noBreakHyphen" => WordText::of("\u{2011}"),
            "w:softHyphen" => WordText::of("\u{ad}"),
            "w:tbl" => self.table(element),
            "w:sdt" => self.control(element),
            "mc:AlternateContent" => {
                element.first("mc:Fallback").map(|other| self.all(other.elements())).unwrap_or_default()
            }
            "w:pict" => {
                let WordText { text, extra } = self.all(element.elements());
                WordText { text: String::new(), extra: text + &extra }
            }
            "w:r" | "w:hyperlink" | "w:tr" | "w:tc" | "w:customXml" | "w:ins" | "w:moveTo" | "w:object"
            | "w:smartTag" | "w:drawing" | "v:roundrect" | "v:shape" | "v:textbox" | "w:txbxContent" | "v:group"
            | "v:rect" => self.all(element.elements()),
            _ => WordText::default(),
        }
    }

    fn paragraph(&mut self, paragraph: XmlElement<'x>) -> WordText {
        let properties = paragraph.first("w:pPr").and_then(|properties| properties.first("w:rPr"));
        if properties.is_some_and(|properties| properties.first("w:del").is_some()) {
            self.left_over.extend(paragraph.elements());
            return WordText::default();
        }
        let before = std::mem::take(&mut self.left_over);
        let WordText { text, extra } = self.all(before.into_iter().chain(paragraph.elements()));
        WordText::of(text + "\n\n" + &extra)
    }

    /// Cells that go on from the row above are not told again.
    fn table(&mut self, table: XmlElement<'x>) -> WordText {
        let tells = |element: &XmlElement<'_>| !matches!(element.name(), "w:tblPr" | "w:tblGrid" | "w:bookmarkEnd");
        let rows: Vec<XmlElement<'x>> = table.elements().filter(tells).collect();
        let is_row = |row: &XmlElement<'_>| row.name() == "w:tr";
        let is_cell = |cell: XmlElement<'_>| matches!(cell.name(), "w:tc" | "w:trPr" | "w:tblPrEx" | "w:bookmarkEnd");
        let is_even = rows.iter().all(is_row) && rows.iter().all(|row| row.elements().all(is_cell));
        let mut told = WordText::default();
        let mut begun = std::collections::HashSet::new();
        for row in rows {
            if row.first("w:trPr").is_some_and(|properties| properties.first("w:del").is_some()) {
                continue;
            }
            if !is_even {
                told.add(self.element(row));
                continue;
            }
            let mut column = 0_usize;
            for cell in row.elements().filter(|cell| cell.name() == "w:tc") {
                let WordText { text, extra } = self.element(cell);
                let properties = cell.first("w:tcPr");
                let merge = properties.and_then(|properties| properties.first("w:vMerge"));
                let goes_on = merge
                    .is_some_and(|merge| matches!(merge.attribute("w:val").as_deref(), None | Some("" | "continue")));
                if !goes_on || begun.insert(column) {
                    begun.insert(column);
                    told.text += &text;
                }
                told.extra += &extra;
                let span = properties.and_then(|properties| properties.first("w:gridSpan"));
                let span = span.and_then(|span| span.attribute("w:val")).and_then(|span| span.parse().ok());
                column = column.saturating_add(span.unwrap_or(1));
            }
        }
        told
    }

    /// Of a box to tick the tick is not told.
    fn control(&mut self, control: XmlElement<'x>) -> WordText {
        let told = control.first("w:sdtContent").map(|content| self.all(content.elements())).unwrap_or_default();
        let is_box = control.first("w:sdtPr").is_some_and(|properties| properties.first("w14:checkbox").is_some());
        if !is_box {
            return told;
        }
        let text = told.text.chars().skip(1).collect::<String>();
        WordText { text, ..told }
    }
}

#[cfg(test)]
mod tests {
    use super::super::zip::zipped;
    use super::*;

    fn told(body: &str) -> String {
        let document = format!("<w:document xmlns:w='w'><w:body>{body}</w:body></w:document>");
        read(&zipped(&[(MAIN, document.as_bytes())])).unwrap()
    }

    #[test]
    fn paragraphs_tables_and_boxes_are_told_as_mammoth_tells_them() {
        let paragraph = |text: &str| format!("<w:p><w:r><w:t xml:space='preserve'>{text}</w:t></w:r></w:p>");
        assert_eq!(told(&(paragraph("one ") + &paragraph("two &amp; three"))), "one \n\ntwo & three\n\n");
        assert_eq!(told("<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r></w:p>"), "a\tbc\n\n");
        assert_eq!(told("<w:p><w:pPr><w:rPr><w:del/></w:rPr></w:pPr><w:r><w:t>a</w:t></w:r></w:p><w:p/>"), "a\n\n");
        assert_eq!(
            told("<w:p><w:del><w:r><w:t>gone</w:t></w:r></w:del><w:ins><w:r><w:t>new</w:t></w:r></w:ins></w:p>"),
            "new\n\n"
        );
        let cell = |text: &str, more: &str| format!("<w:tc><w:tcPr>{more}</w:tcPr>{}</w:tc>", paragraph(text));
        let rows = [
            format!("<w:tr>{}{}</w:tr>", cell("a", "<w:vMerge w:val='restart'/>"), cell("b", "")),
            format!("<w:tr>{}{}</w:tr>", cell("not told", "<w:vMerge/>"), cell("c", "")),
        ];
        assert_eq!(told(&format!("<w:tbl><w:tblPr/>{}</w:tbl>", rows.concat())), "a\n\nb\n\nc\n\n");
        let inside = paragraph("in the box");
        let drawn = format!(
            "<w:p><w:r><mc:AlternateContent><mc:Choice/><mc:Fallback><w:pict><v:shape><v:textbox><w:txbxContent>{inside}\
             </w:txbxContent></v:textbox></v:shape></w:pict></mc:Fallback></mc:AlternateContent><w:t>text</w:t></w:r></w:p>"
        );
        assert_eq!(told(&drawn), "text\n\nin the box\n\n");
    }

    /// A file that a library wrote, and what `mammoth` 1.13 tells of it.
    #[test]
    fn a_whole_file_is_told_as_mammoth_tells_it() {
        let bytes = include_bytes!("../../../../tests/flowise/engine/files/sample.docx");
        assert_eq!(read(bytes).unwrap(), include_str!("sample.txt"));
    }

    #[test]
    fn what_is_no_word_file_is_told() {
        for bytes in [b"".as_slice(), b"PK\x05\x06", b"\xd0\xcf\x11\xe0 old"] {
            assert!(read(bytes).unwrap_err().contains("no Word file"));
        }
        assert!(read(&zipped(&[("other.xml", b"<a/>")])).is_err());
    }
}
