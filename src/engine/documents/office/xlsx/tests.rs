use serde_json::json;

use super::super::zip::zipped;
use super::*;

fn book(sheet: &str) -> Vec<u8> {
    let book = "<workbook><sheets><sheet name='One' sheetId='1' r:id='rId1'/></sheets></workbook>";
    let relations = "<Relationships><Relationship Id='rId1' Target='worksheets/sheet1.xml'/></Relationships>";
    let strings = "<sst><si><t>name</t></si><si><r><t>ri</t></r><r><t>ch</t></r><rPh><t>no</t></rPh></si></sst>";
    zipped(&[
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
        ("xl/sharedStrings.xml", strings.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

#[test]
fn rows_are_objects_by_the_first_row() {
    let sheet = "<worksheet><dimension ref='A1:D4'/><sheetData>\
            <row r='1'><c r='A1' t='s'><v>0</v></c><c r='B1' t='s'><v>0</v></c><c r='D1'><v>2020</v></c></row>\
            <row r='2'><c r='A2' t='s'><v>1</v></c><c r='B2'><v>1.5</v></c><c r='C2' t='b'><v>1</v></c><c r='D2' t='e'><v>#N/A</v></c></row>\
            <row r='3'/>\
            <row r='4'><c r='A4' t='inlineStr'><is><t>in &amp; line</t></is></c><c r='D4'><v>3</v></c></row>\
            </sheetData></worksheet>";
    let found = rows(&book(sheet)).unwrap();
    let told: Vec<_> = found.into_iter().map(|row| (row.number, Value::Object(row.fields))).collect();
    assert_eq!(
        told,
        [
            (1, json!({ "name": "rich", "name_1": 1.5, "__EMPTY": true })),
            (3, json!({ "name": "in & line", "2020": 3 })),
        ]
    );
    assert_eq!((place("B12"), place("AA1"), place("1"), place("ZZZZZZ1")), (Some((1, 11)), Some((26, 0)), None, None));
}

#[test]
fn a_text_that_cells_share_is_no_more_than_a_file_may_hold() {
    let relations = "<Relationships><Relationship Id='rId1' Target='s.xml'/></Relationships>";
    let book = "<workbook><sheets><sheet name='One' r:id='rId1'/></sheets></workbook>";
    let strings = format!("<sst><si><t>{}</t></si></sst>", "x".repeat(MOST_BYTES / 100));
    let sheet = |cells: usize| {
        format!("<worksheet><sheetData><row>{}</row></sheetData></worksheet>", "<c t='s'><v>0</v></c>".repeat(cells))
    };
    let read = |cells| {
        rows(&zipped(&[
            ("xl/workbook.xml", book.as_bytes()),
            ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
            ("xl/sharedStrings.xml", strings.as_bytes()),
            ("xl/s.xml", sheet(cells).as_bytes()),
        ]))
    };
    assert!(read(90).is_ok());
    // A few kilobytes that would become a hundred times what fits.
    assert_eq!(read(10_000).unwrap_err(), "the Excel file has too many cells");
}

#[test]
fn the_name_of_a_sheet_counts_in_each_of_its_rows() {
    let relations = "<Relationships><Relationship Id='rId1' Target='s.xml'/></Relationships>";
    let name = "n".repeat(MOST_BYTES / 100);
    let book = format!("<workbook><sheets><sheet name='{name}' r:id='rId1'/></sheets></workbook>");
    let sheet = format!("<worksheet><sheetData>{}</sheetData></worksheet>", "<row><c><v>1</v></c></row>".repeat(1000));
    let file = zipped(&[
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
        ("xl/s.xml", sheet.as_bytes()),
    ]);
    assert_eq!(rows(&file).unwrap_err(), "the Excel file has too many cells");
}

#[test]
fn what_is_no_excel_file_is_told() {
    assert!(rows(b"PK").unwrap_err().contains("no Excel file"));
    assert!(rows(&book("<worksheet></worksheet>")).unwrap().is_empty());
}
