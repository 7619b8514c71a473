//! Books in EPUB: their chapters in the order of their spine, as `epub2` finds them.

use std::borrow::Cow;
use std::collections::HashMap;

use super::xml::{XmlDocument, XmlElement};
use super::zip::ZipFolder;

/// A spine may name one file very often, and a short file may have a long title.
const MOST_CHAPTERS: usize = 10_000;
const LONGEST_TITLE: usize = 1000;

/// A chapter as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EpubChapter {
    /// As the table of contents calls it; empty: it does not.
    pub(crate) title: String,
    pub(crate) html: String,
}

/// The chapters of a book.
///
/// # Errors
/// It is no book, or too large.
pub(crate) fn chapters(bytes: &[u8]) -> Result<Vec<EpubChapter>, String> {
    let no_book = || "the file is no EPUB book, or it is damaged".to_owned();
    let folder = ZipFolder::open(bytes).ok_or_else(no_book)?;
    let container = folder.text("META-INF/container.xml")?.ok_or_else(no_book)?;
    let container = XmlDocument::parse(&container)?;
    let roots = each(container.root()?, "rootfile");
    let place = roots.iter().find_map(|root| root.attribute("full-path")).ok_or_else(no_book)?;
    let base = place.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
    let package = folder.text(&place)?.ok_or_else(no_book)?;
    let package = XmlDocument::parse(&package)?;
    let items: HashMap<Cow<'_, str>, (Cow<'_, str>, Cow<'_, str>)> = each(package.root()?, "item")
        .into_iter()
        .filter_map(|item| {
            let kind = item.attribute("media-type").unwrap_or_default();
            Some((item.attribute("id")?, (item.attribute("href")?, kind)))
        })
        .collect();
    let spine = each(package.root()?, "spine").into_iter().next().ok_or_else(no_book)?;
    let titles = match spine.attribute("toc").and_then(|toc| items.get(&toc)) {
        Some((toc, _)) => {
            folder.text(&format!("{base}{toc}"))?.map(|text| titles(&text)).transpose()?.unwrap_or_default()
        }
        None => HashMap::new(),
    };
    let mut chapters = Vec::new();
    for reference in each(spine, "itemref") {
        let item = reference.attribute("idref").and_then(|id| items.get(&id));
        let Some((href, _)) = item.filter(|(_, kind)| matches!(&**kind, "application/xhtml+xml" | "image/svg+xml"))
        else {
            continue;
        };
        if chapters.len() == MOST_CHAPTERS {
            return Err(format!("the book has more than {MOST_CHAPTERS} chapters"));
        }
        let Some(html) = folder.text(&format!("{base}{href}"))?.filter(|html| !html.is_empty()) else { continue };
        chapters.push(EpubChapter { title: titles.get(&**href).cloned().unwrap_or_default(), html });
    }
    Ok(chapters)
}

fn each<'x>(root: XmlElement<'x>, local: &str) -> Vec<XmlElement<'x>> {
    let mut found = Vec::new();
    root.each(local, &mut found);
    found
}

/// What the table of contents calls each file; the last of several counts.
fn titles(text: &str) -> Result<HashMap<String, String>, String> {
    let contents = XmlDocument::parse(text)?;
    let points = each(contents.root()?, "navPoint").into_iter().filter_map(|point| {
        let part = |local: &str| point.elements().find(|element| element.local() == local);
        let title = part("navLabel")?.elements().find(|element| element.local() == "text")?.text();
        Some((part("content")?.attribute("src")?.trim().to_owned(), title.trim().chars().take(LONGEST_TITLE).collect()))
    });
    Ok(points.collect())
}

#[cfg(test)]
mod tests {
    use super::super::zip::zipped;
    use super::*;

    #[test]
    fn chapters_come_in_the_order_of_the_spine() {
        let container = "<container><rootfiles><rootfile full-path='OEBPS/book.opf'/></rootfiles></container>";
        let package = "<package><manifest><item id='a' href='a.xhtml' media-type='application/xhtml+xml'/>\
            <item id='b' href='b.xhtml' media-type='application/xhtml+xml'/><item id='c' href='c.css' media-type='text/css'/>\
            <item id='ncx' href='toc.ncx' media-type='application/x-dtbncx+xml'/></manifest>\
            <spine toc='ncx'><itemref idref='b'/><itemref idref='a'/><itemref idref='c'/><itemref idref='none'/></spine></package>";
        let contents = "<ncx><navMap><navPoint><navLabel><text> One </text></navLabel><content src='a.xhtml'/>\
            <navPoint><navLabel><text>Inner</text></navLabel><content src='b.xhtml#part'/></navPoint></navPoint></navMap></ncx>";
        let files = [
            ("META-INF/container.xml", container),
            ("OEBPS/book.opf", package),
            ("OEBPS/toc.ncx", contents),
            ("OEBPS/a.xhtml", "<p>a</p>"),
            ("OEBPS/b.xhtml", "<p>b</p>"),
        ];
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        let chapter = |title: &str, html: &str| EpubChapter { title: title.to_owned(), html: html.to_owned() };
        assert_eq!(chapters(&zipped(&files)).unwrap(), [chapter("", "<p>b</p>"), chapter("One", "<p>a</p>")]);
        let many = package.replace("<itemref idref='a'/>", &"<itemref idref='a'/>".repeat(MOST_CHAPTERS));
        let long = contents.replace(" One ", &"x".repeat(100_000));
        let book = |at: usize, text: &str| {
            chapters(&zipped(&[&files[..at], &[(files[at].0, text.as_bytes())], &files[at + 1..]].concat()))
        };
        assert!(book(1, &many).unwrap_err().contains("more than 10000 chapters"));
        assert_eq!(book(2, &long).unwrap()[1].title.len(), LONGEST_TITLE);
        assert!(chapters(&zipped(&files[1..])).unwrap_err().contains("no EPUB book"));
        assert!(chapters(b"").is_err());
    }
}
