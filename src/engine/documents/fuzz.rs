//! Files and pages, whatever they are: read or refused, never a panic and never without end.

use super::html::{HtmlPage, PlainStyle, Selector, markdown, plain};
use super::office::{bucket, docx, epub, paragraphs, sections, sitemap, xlsx, zipped};
use super::pdf;
use crate::fuzzing::fuzz;

#[test]
fn fuzz_pdf() {
    let words = [
        "obj",
        "endobj",
        "stream\n",
        "endstream",
        "<<",
        ">>",
        "[",
        "]",
        "(",
        ")",
        "1 0 R",
        "xref",
        "trailer",
        "startxref",
        "/Length 5",
        "/Filter /FlateDecode",
        "/Type /ObjStm",
        "/Type /XRef",
        "/W [1 2 1]",
        "BT",
        "ET",
        "Tf",
        "Tj",
        "TJ",
        "Td",
        "Tm",
        "Do",
        "BI",
        "ID",
        "EI",
        "beginbfrange",
        "<0000> <ffff>",
        "/Differences [",
        "/Encoding",
        "/Identity-H",
        "/Encrypt",
        "4294967295",
        "-1",
        "1e99",
    ];
    fuzz("pdf", &words, |input| {
        let _ = pdf::read(input);
        // What the head keeps away from the reader.
        let _ = pdf::read(&[b"%PDF-1.4\n", input].concat());
    });
}

#[test]
fn fuzz_docx() {
    let words =
        ["<w:p>", "</w:p>", "<w:t>", "<w:tbl>", "<w:tr>", "<w:tc>", "<w:vMerge/>", "w:val=\"", "&#x41;", "<![CDATA["];
    fuzz("docx", &words, |input| {
        let _ = docx::read(input);
        let _ = docx::read(&zipped(&[("word/document.xml", input)]));
        let _ = sitemap::pages(&String::from_utf8_lossy(input));
    });
}

#[test]
fn fuzz_office() {
    let words = [
        "<row r=\"9\">",
        "<c r=\"XFD1048576\" t=\"s\">",
        "<c t=\"inlineStr\"><is><t>",
        "<v>0</v>",
        "<v>1e99</v>",
        "</c>",
        "</row>",
        "<si><t>",
        "<mergeCell ref=\"A1:B2\"/>",
        "<a:p>",
        "<a:t>",
        "<w:p>",
        "<item id=\"i\" href=\"../x\"/>",
        "<itemref idref=\"i\"/>",
        "xml:space=\"preserve\"",
        "&#55357;",
        "PK\u{1}\u{2}",
        "PK\u{5}\u{6}",
    ];
    let book = br#"<workbook><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>"#;
    let links = br#"<Relationships><Relationship Id="r1" Target="worksheets/sheet1.xml"/></Relationships>"#;
    let container = br#"<container><rootfiles><rootfile full-path="o.opf"/></rootfiles></container>"#;
    fuzz("office", &words, |input| {
        // As a folder, and in each place of one.
        let _ = (xlsx::rows(input), epub::chapters(input), paragraphs::of_slides(input), paragraphs::of_word(input));
        let parts: [(&str, &[u8]); 2] = [("xl/workbook.xml", book), ("xl/_rels/workbook.xml.rels", links)];
        let sheet = [parts[0], parts[1], ("xl/worksheets/sheet1.xml", input), ("xl/sharedStrings.xml", input)];
        let _ = xlsx::rows(&zipped(&sheet));
        let _ = epub::chapters(&zipped(&[("META-INF/container.xml", container), ("o.opf", input), ("x", input)]));
        let _ = paragraphs::of_slides(&zipped(&[("ppt/slides/slide1.xml", input)]));
        let _ = paragraphs::of_word(&zipped(&[("word/document.xml", input)]));
        let text = String::from_utf8_lossy(input);
        let _ = (bucket::keys(&text), sections::slides(&text), sections::sections(&text));
    });
}

#[test]
fn fuzz_pages() {
    let words = [
        "<p>",
        "<b>",
        "</b>",
        "<i>",
        "<pre>",
        "<code>",
        "<ul><li>",
        "<ol start=9>",
        "</li>",
        "<table>",
        "<tr>",
        "<td>",
        "<a href=\"x\">",
        "</a>",
        "<img src=x alt=\"]\">",
        "<h1>",
        "<hr>",
        "<br>",
        "<blockquote>",
        "*",
        "_",
        "`",
        "&#55357;",
    ];
    fuzz("html", &words, |input| {
        let text = String::from_utf8_lossy(input);
        let _ = markdown(&text);
        for (wrapped_at, keeps_lines) in [(None, false), (Some(80), false), (Some(1), true)] {
            let _ = plain(&text, PlainStyle { wrapped_at, keeps_lines });
        }
    });
}

#[test]
fn fuzz_html() {
    let words = [
        "<p>",
        "</p>",
        "<table>",
        "<tr>",
        "<td>",
        "</table>",
        "<svg>",
        "<![CDATA[",
        "<!--",
        "-->",
        "<script>",
        "</script>",
        "<template>",
        "<title>",
        "&amp",
        "&#1114112;",
        "<a href=",
        "<select>",
        "<body>",
        "</body>",
        "<head>",
    ];
    let selectors = ["body", "p, td > *", ":not(p):nth-child(2n+1)", "p:contains(a) ~ p"];
    let selectors = selectors.map(|selector| Selector::parse(selector).unwrap());
    fuzz("html", &words, |input| {
        let text = String::from_utf8_lossy(input);
        let page = HtmlPage::parse(&text);
        page.title();
        page.links();
        for selector in &selectors {
            let _ = selector.text_in(&page);
        }
        let _ = Selector::parse(&text);
    });
}
