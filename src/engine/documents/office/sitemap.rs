//! Sitemaps: which pages a site has.

use super::xml::XmlDocument;

/// The address of each page.
///
/// # Errors
/// It is no sitemap, or it names none.
pub(crate) fn pages(text: &str) -> Result<Vec<String>, String> {
    let map = XmlDocument::parse(text)?;
    let mut urls = Vec::new();
    map.root()?.each("url", &mut urls);
    let pages: Vec<String> = urls
        .iter()
        .filter_map(|url| Some(url.first("loc")?.text().trim().to_owned()))
        .filter(|page| !page.is_empty())
        .collect();
    if pages.is_empty() { Err("No relative links found".to_owned()) } else { Ok(pages) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_a_sitemap_are_found() {
        let map = "<?xml version='1.0'?><urlset xmlns='x'><url><loc> https://a/1 </loc></url><url><lastmod/></url>\
                   <url><loc>https://a/?b&amp;c</loc></url></urlset>";
        assert_eq!(pages(map).unwrap(), ["https://a/1", "https://a/?b&c"]);
        assert!(pages("<html></html>").is_err() && pages("").is_err());
    }
}
