//! Files and pages, whatever they are: read or refused, never a panic and never without end.

use super::html::{HtmlPage, Selector};
use super::office::{docx, sitemap, zipped};
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
