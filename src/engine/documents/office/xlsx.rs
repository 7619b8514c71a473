//! Rows of Excel files, as `SheetJS`'s `sheet_to_json` has them: objects by the names in a sheet's first row.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};

use super::xml::{XmlDocument, XmlElement};
use super::zip::ZipFolder;
use crate::engine::text::javascript::shown;

/// Cells of one file.
const MOST_CELLS: usize = 2 << 20;
/// Of all cells, and the names of their columns and sheets: cells share their texts and rows their names, so few bytes may
/// become very many.
const MOST_BYTES: usize = if cfg!(test) { 1 << 20 } else { 128 << 20 };
/// What a cell takes beside its text and its name.
const CELL: usize = 128;

/// One row of a sheet that has any cell.
#[derive(Debug, PartialEq)]
pub(crate) struct SheetRow {
    pub(crate) sheet: String,
    /// Counted from the sheet's first row, which is 0.
    pub(crate) number: usize,
    pub(crate) fields: Map<String, Value>,
}

/// The rows of all sheets.
///
/// # Errors
/// It is no such file, or too large.
pub(crate) fn rows(bytes: &[u8]) -> Result<Vec<SheetRow>, String> {
    let no_file = || "the file is no Excel file (XLSX), or it is damaged".to_owned();
    let folder = ZipFolder::open(bytes).ok_or_else(no_file)?;
    let book = folder.text("xl/workbook.xml")?.ok_or_else(no_file)?;
    let book = XmlDocument::parse(&book)?;
    let targets = targets(&folder)?;
    let strings = strings(&folder)?;
    let mut sheets = Vec::new();
    book.root()?.each("sheet", &mut sheets);
    let (mut rows, mut room) = (Vec::new(), SheetRoom { cells: MOST_CELLS, bytes: MOST_BYTES });
    for sheet in sheets {
        let id = sheet.attributes().find(|(name, _)| name.ends_with(":id")).map(|(_, id)| id);
        let Some(path) = id.and_then(|id| targets.get(&*id)) else { continue };
        let Some(text) = folder.text(path)? else { continue };
        let name = sheet.attribute("name").unwrap_or_default();
        let sheet = XmlDocument::parse(&text)?;
        SheetReader { name: &name, strings: &strings }.read(sheet.root()?, &mut room, &mut rows)?;
    }
    Ok(rows)
}

/// Where the parts of the book are, by their ids.
fn targets(folder: &ZipFolder<'_>) -> Result<HashMap<String, String>, String> {
    let Some(text) = folder.text("xl/_rels/workbook.xml.rels")? else { return Ok(HashMap::new()) };
    let relations = XmlDocument::parse(&text)?;
    let target = |relation: XmlElement<'_>| {
        let target = relation.attribute("Target")?;
        let path = target.strip_prefix('/').map_or_else(|| format!("xl/{target}"), str::to_owned);
        Some((relation.attribute("Id")?.into_owned(), path))
    };
    Ok(relations.root()?.elements().filter_map(target).collect())
}

fn strings(folder: &ZipFolder<'_>) -> Result<Vec<String>, String> {
    let Some(text) = folder.text("xl/sharedStrings.xml")? else { return Ok(Vec::new()) };
    let table = XmlDocument::parse(&text)?;
    Ok(table.root()?.elements().filter(|entry| entry.local() == "si").map(rich).collect())
}

/// A text in one piece or in several; how it is read aloud is no part of it.
fn rich(element: XmlElement<'_>) -> String {
    let mut text = String::new();
    for part in element.elements() {
        match part.local() {
            "t" => text.push_str(&part.text()),
            "r" => text.push_str(&rich(part)),
            _ => {}
        }
    }
    text
}

/// What may still be read.
struct SheetRoom {
    cells: usize,
    bytes: usize,
}

impl SheetRoom {
    fn take(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or("the Excel file has too many cells")?;
        Ok(())
    }
}

struct SheetReader<'s> {
    name: &'s str,
    strings: &'s [String],
}

/// `B12` counted from 0: column and row.
fn place(reference: &str) -> Option<(usize, usize)> {
    let reference = reference.replace('$', "");
    let digits = reference.find(|letter: char| letter.is_ascii_digit())?;
    let (letters, number) = reference.split_at(digits);
    let column = letters.bytes().try_fold(0_usize, |column, letter| {
        let letter = letter.to_ascii_uppercase();
        letter.is_ascii_uppercase().then(|| column.saturating_mul(26).saturating_add(usize::from(letter - b'A') + 1))
    })?;
    let row: usize = number.parse().ok()?;
    Some((column.checked_sub(1)?, row.checked_sub(1)?)).filter(|(column, row)| *column < 1 << 14 && *row < 1 << 20)
}

impl SheetReader<'_> {
    fn read(&self, sheet: XmlElement<'_>, room: &mut SheetRoom, out: &mut Vec<SheetRow>) -> Result<(), String> {
        let mut found: Vec<(usize, Vec<(usize, Value)>)> = Vec::new();
        let mut rows = Vec::new();
        sheet.each("row", &mut rows);
        for row in rows {
            let next = found.last().map_or(0, |(number, _)| number + 1);
            let number = row.attribute("r").and_then(|number| number.parse::<usize>().ok()?.checked_sub(1));
            let mut cells: Vec<(usize, Value)> = Vec::new();
            for cell in row.elements().filter(|cell| cell.local() == "c") {
                room.cells = room.cells.checked_sub(1).ok_or("the Excel file has too many cells")?;
                let after = cells.last().map_or(0, |(column, _)| column + 1);
                let column = cell.attribute("r").and_then(|at| place(&at)).map_or(after, |(column, _)| column);
                if let Some(value) = self.value(cell, room)? {
                    cells.push((column, value));
                }
            }
            found.push((number.unwrap_or(next), cells));
        }
        let area = sheet.elements().find(|element| element.local() == "dimension");
        let area = area.and_then(|area| area.attribute("ref")).and_then(|area| {
            let (from, to) = area.split_once(':').unwrap_or((&area, &area));
            Some((place(from)?, place(to)?))
        });
        let first = area.map(|(from, _)| from.1).or_else(|| found.first().map(|(number, _)| *number));
        let Some(first) = first else { return Ok(()) };
        let is_inside = |column: usize, row: usize| {
            area.is_none_or(|(from, to)| (from.0..=to.0).contains(&column) && (from.1..=to.1).contains(&row))
        };
        let names = names(&found, first);
        for (number, cells) in found.into_iter().filter(|(number, _)| *number > first) {
            let mut fields = Map::new();
            for (column, value) in cells.into_iter().filter(|(column, _)| is_inside(*column, number)) {
                let name = names.get(&column).map_or_else(|| "__EMPTY".to_owned(), Clone::clone);
                room.take(name.len())?;
                fields.insert(name, value);
            }
            if !fields.is_empty() {
                room.take(self.name.len())?;
                out.push(SheetRow { sheet: self.name.to_owned(), number, fields });
            }
        }
        Ok(())
    }

    /// `None`: the cell is empty, or holds an error.
    fn value(&self, cell: XmlElement<'_>, room: &mut SheetRoom) -> Result<Option<Value>, String> {
        let element = |name: &str| cell.elements().find(|element| element.local() == name);
        let kind = cell.attribute("t");
        let kind = kind.as_deref();
        let own =
            if kind == Some("inlineStr") { element("is").map(rich) } else { element("v").map(|value| value.text()) };
        let Some(own) = own else { return Ok(None) };
        let shared = || self.strings.get(own.trim().parse::<usize>().ok()?);
        // Before it is copied.
        room.take(CELL + if kind == Some("s") { shared().map_or(0, String::len) } else { own.len() })?;
        Ok(match kind {
            Some("s") => shared().map(|text| text.as_str().into()),
            Some("inlineStr" | "str" | "d") => Some(own.into()),
            Some("b") => Some(matches!(own.trim(), "1" | "true").into()),
            Some("e") => None,
            _ => number(own.trim()),
        })
    }
}

/// As JavaScript holds it: whole numbers are whole.
fn number(text: &str) -> Option<Value> {
    let number: f64 = text.parse().ok()?;
    if number.fract() == 0.0 && number.abs() < 9e15 {
        #[expect(clippy::cast_possible_truncation, reason = "looked at just above")]
        return Some((number as i64).into());
    }
    Number::from_f64(number).map(Value::Number)
}

/// Names of columns: what the first row says, numbered where it says the same twice or nothing.
fn names(rows: &[(usize, Vec<(usize, Value)>)], first: usize) -> HashMap<usize, String> {
    let empty = Vec::new();
    let head = rows.iter().find(|(number, _)| *number == first).map_or(&empty, |(_, cells)| cells);
    let said: HashMap<usize, String> = head.iter().map(|(column, value)| (*column, shown(value))).collect();
    let mut columns: Vec<usize> = rows.iter().flat_map(|(_, cells)| cells.iter().map(|(column, _)| *column)).collect();
    columns.sort_unstable();
    columns.dedup();
    let (begin, end) = (columns.first().copied().unwrap_or(0), columns.last().copied().unwrap_or(0));
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut names = HashMap::new();
    for column in begin..=end {
        let name = said.get(&column).cloned().unwrap_or_else(|| "__EMPTY".to_owned());
        let mut unique = name.clone();
        if let Some(count) = counts.get(&name).copied() {
            let mut count = count;
            loop {
                unique = format!("{name}_{count}");
                count += 1;
                if !counts.contains_key(&unique) {
                    break;
                }
            }
            counts.insert(name, count);
            counts.insert(unique.clone(), 1);
        } else {
            counts.insert(name, 1);
        }
        names.insert(column, unique);
    }
    names
}

#[cfg(test)]
mod tests;
