use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::*;

/// What Flowise's loader made of a file; no pages: an error. Files that are encrypted ask for no password.
#[derive(Deserialize)]
struct RecordedPdf {
    name: String,
    file: String,
    pages: Option<Vec<(usize, String)>>,
    info: Option<Value>,
    count: Option<usize>,
}

fn recorded() -> Vec<RecordedPdf> {
    serde_json::from_str(include_str!("flowise.json")).unwrap()
}

fn bytes_of(name: &str) -> Vec<u8> {
    let found = recorded().into_iter().find(|recorded| recorded.name == name).unwrap();
    STANDARD.decode(found.file).unwrap()
}

#[test]
fn pages_are_those_of_flowises_loader() {
    assert!(recorded().len() > 20);
    for RecordedPdf { name, file, pages, info, count } in recorded() {
        let read = read(&STANDARD.decode(file).unwrap());
        assert_eq!(read.as_ref().ok().map(|read| &read.pages), pages.as_ref(), "{name}: {:?}", read.as_ref().err());
        if let (Some(info), Ok(read)) = (info, read) {
            assert_eq!((Value::Object(read.info), Some(read.page_count)), (info, count), "{name}");
        }
    }
}

#[test]
fn what_is_no_file_of_text_is_told() {
    assert_eq!(read(b"plain").unwrap_err(), "the file is no PDF file, or it is damaged");
    assert_eq!(read(&bytes_of("en9")).unwrap_err(), "the PDF file asks for a password");
    let scanned = read(&bytes_of("scan")).unwrap();
    assert_eq!((scanned.pages.len(), scanned.page_count), (0, 1));
}

/// A file of one page with that content, and these objects beside it.
fn file(content: &str, more: &[&str]) -> Vec<u8> {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Contents 4 0 R /Resources << /XObject << /X 5 0 R /Y 6 0 R >> /Font << /F 7 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
    ];
    let all = objects.iter().map(String::as_str).chain(more.iter().copied());
    let numbered = |(number, object): (usize, &str)| format!("{number} 0 obj\n{object}\nendobj\n");
    let body = (1..).zip(all).map(numbered).collect::<Vec<_>>().concat();
    format!("%PDF-1.4\n{body}trailer << /Root 1 0 R >>").into_bytes()
}

#[test]
fn forms_that_show_themselves_end() {
    let form = "<< /Subtype /Form /Length 12 >>\nstream\n/X Do /Y Do \nendstream";
    let read = read(&file("/X Do", &[form, form]));
    assert!(read.is_ok_and(|read| read.pages.is_empty()));
    // Sixteen times sixteen times sixteen ...
    let many = "/X Do /Y Do ".repeat(8);
    let wide = format!("<< /Subtype /Form /Length {} >>\nstream\n{many}\nendstream", many.len());
    let deadline = Instant::now() + Duration::from_millis(200);
    assert_eq!(read_until(&file(&many, &[&wide, &wide]), deadline).unwrap_err(), PdfRefusal::LimitExceeded);
}

#[test]
fn loops_of_every_kind_end() {
    let loops = [
        "1 0 obj << /Pages 2 0 R >> endobj 2 0 obj << /Kids [2 0 R 3 0 R] >> endobj 3 0 obj << /Kids [2 0 R] >> endobj",
        "1 0 obj << /Pages 2 0 R >> endobj 2 0 obj 3 0 R endobj 3 0 obj 2 0 R endobj",
        "1 0 obj << /Pages 2 0 R >> endobj 2 0 obj << /Length 2 0 R >> stream x endstream endobj",
        "xref 0 1 trailer << /Root 1 0 R /Prev 9 >> startxref 9",
    ];
    for text in loops {
        let _ = read(format!("%PDF-1.4\n{text} trailer << /Root 1 0 R >>").as_bytes());
    }
    let deep = format!("1 0 obj {} endobj trailer << /Root 1 0 R >>", "[".repeat(100_000));
    let _ = read(format!("%PDF-1.4\n{deep}").as_bytes());
    let spaces = format!("BT /F 1 Tf 1e9 Tw ({}) Tj ET", " ".repeat(100_000));
    let font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>";
    assert!(read(&file(&spaces, &["null", "null", font])).unwrap_err().contains("too much work"));
}

#[test]
fn bombs_end() {
    let mut packed = vec![0_u8; 4 << 20];
    packed[..12].copy_from_slice(b"BT (x) Tj ET");
    for _ in 0..2 {
        packed = miniz_oxide::deflate::compress_to_vec_zlib(&packed, 6);
    }
    let mut bytes = b"%PDF-1.4\n1 0 obj << /Pages 2 0 R >> endobj 2 0 obj << /Kids [3 0 R] >> endobj\n".to_vec();
    let part = format!("4 0 obj << /Filter [/FlateDecode /FlateDecode] /Length {} >> stream\n", packed.len());
    bytes.extend_from_slice(part.as_bytes());
    bytes.extend_from_slice(&packed);
    let contents = "4 0 R ".repeat(50);
    let end = format!("\nendstream endobj 3 0 obj << /Contents [{contents}] >> endobj trailer << /Root 1 0 R >>");
    bytes.extend_from_slice(end.as_bytes());
    assert!(read(&bytes).unwrap_err().contains("too much work"));
}
