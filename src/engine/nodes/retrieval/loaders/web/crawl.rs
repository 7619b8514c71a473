//! Which pages are read: one, those that were chosen, those of a sitemap, or what a page leads to on its host.

use std::collections::HashSet;

use url::{Position, Url};

use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::documents::html::HtmlPage;
use crate::engine::documents::office::sitemap;
use crate::engine::provider::web::{WebAnswer, WebReader, WebRequest, web_address};

/// Bytes of one page, and of all.
const LONGEST: usize = 8 << 20;
const MOST_BYTES: usize = 64 << 20;
/// Links that wait to be followed.
const MOST_LINKS: usize = 20_000;

#[derive(Debug)]
pub(super) enum CrawlScope {
    One,
    Listed(Vec<Url>),
    Crawl,
    Sitemap,
}

/// See the module.
#[derive(Debug)]
pub(super) struct PageCrawl {
    pub(super) reader: WebReader,
    pub(super) url: Url,
    pub(super) scope: CrawlScope,
    pub(super) limit: usize,
}

impl PageCrawl {
    /// Reads page after page; what is wrong with one is told if no other has anything to say.
    pub(super) async fn visit<T>(
        &self,
        told: &T,
        documents: &mut Vec<Document>,
        run: &Run<'_>,
    ) -> Result<Option<String>, Failure>
    where
        T: Fn(String, String) -> Result<Document, String> + Clone + Send + 'static,
    {
        let pages = match &self.scope {
            CrawlScope::Crawl => return self.crawl(told, documents, run).await,
            CrawlScope::One => vec![(self.url.clone(), self.url.to_string())],
            CrawlScope::Listed(pages) => pages.iter().map(|page| (page.clone(), page.to_string())).collect(),
            CrawlScope::Sitemap => match self.of_sitemap(run).await? {
                Ok(pages) => pages,
                Err(problem) => return Ok(Some(problem)),
            },
        };
        let mut problem = None;
        let mut room = MOST_BYTES;
        for (page, source) in pages.into_iter().take(self.limit) {
            // Flowise leaves such files out as well.
            if is_pdf(page.path()) {
                continue;
            }
            match self.page(&page, &mut room, run).await? {
                Ok(answer) => match read(told, answer.text(), source).await? {
                    Ok(document) => documents.push(document),
                    Err(found) => problem = Some(found),
                },
                Err(found) => problem = Some(found),
            }
        }
        Ok(problem)
    }

    /// One page, or why it cannot be read.
    async fn page(&self, page: &Url, room: &mut usize, run: &Run<'_>) -> Result<Result<WebAnswer, String>, Failure> {
        let answer = match self.reader.ask(page, WebRequest::default(), LONGEST.min(*room), run).await {
            Ok(answer) => answer,
            Err(failure) if failure.ends_run() => return Err(failure),
            Err(failure) => return Ok(Err(run.told(&failure))),
        };
        *room = room.saturating_sub(answer.body.len());
        if answer.status.is_success() {
            return Ok(Ok(answer));
        }
        Ok(Err(format!("the server answered {}", answer.status.as_u16())))
    }

    async fn of_sitemap(&self, run: &Run<'_>) -> Result<Result<Vec<(Url, String)>, String>, Failure> {
        let mut room = MOST_BYTES;
        let answer = match self.page(&self.url, &mut room, run).await? {
            Ok(answer) => answer,
            Err(problem) => return Ok(Err(problem)),
        };
        let text = answer.text();
        let read = tokio::task::spawn_blocking(move || sitemap::pages(&text)).await;
        let pages = read.map_err(|_| Failure::flow("the sitemap cannot be read"))?;
        Ok(pages.map(|pages| {
            let page = |text: String| Some((web_address(&text).ok()?, text));
            pages.into_iter().filter_map(page).collect()
        }))
    }

    /// Depth first, as Flowise goes: each page's links before its neighbours.
    async fn crawl<T>(&self, told: &T, documents: &mut Vec<Document>, run: &Run<'_>) -> Result<Option<String>, Failure>
    where
        T: Fn(String, String) -> Result<Document, String> + Clone + Send + 'static,
    {
        let mut seen = HashSet::new();
        let mut left = vec![self.url.clone()];
        let mut problem = None;
        let mut room = MOST_BYTES;
        while let Some(page) = left.pop() {
            if seen.len() >= self.limit {
                break;
            }
            let source = named(&self.url, &page);
            if page.host_str() != self.url.host_str() || !seen.insert(source.clone()) {
                continue;
            }
            let answer = match self.page(&page, &mut room, run).await? {
                Ok(answer) => answer,
                Err(found) => {
                    problem = Some(found);
                    continue;
                }
            };
            if answer.media_type.contains("text/html") {
                let text = answer.text();
                let found = tokio::task::spawn_blocking(move || links(&text, &page)).await;
                let found = found.map_err(|_| Failure::flow("the links of a page cannot be read"))?;
                left.extend(found.into_iter().rev());
                left.truncate(MOST_LINKS);
            }
            if is_pdf(&source) {
                continue;
            }
            match read(told, answer.text(), source).await? {
                Ok(document) => documents.push(document),
                Err(found) => problem = Some(found),
            }
        }
        Ok(problem)
    }
}

/// Reads a page apart from the runs of this thread.
async fn read<T>(told: &T, html: String, source: String) -> Result<Result<Document, String>, Failure>
where
    T: Fn(String, String) -> Result<Document, String> + Clone + Send + 'static,
{
    let told = told.clone();
    tokio::task::spawn_blocking(move || told(html, source)).await.map_err(|_| Failure::flow("a page cannot be read"))
}

/// The address that Flowise tells of a page that it found: without fragment and without a slash at its end.
fn named(first: &Url, page: &Url) -> String {
    let rest = &page[Position::BeforeHost..Position::AfterQuery];
    format!("{}://{}", first.scheme(), rest.strip_suffix('/').unwrap_or(rest))
}

/// Told by the end of its name, in small letters, as in Flowise.
fn is_pdf(path: &str) -> bool {
    path.strip_suffix(".pdf").is_some()
}

/// Where a page leads to.
fn links(html: &str, page: &Url) -> Vec<Url> {
    let read = HtmlPage::parse(html);
    let (links, base) = read.links();
    let base = base.and_then(|base| page.join(base).ok()).unwrap_or_else(|| page.clone());
    links.into_iter().take(MOST_LINKS).filter_map(|link| base.join(link).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_named_and_links_found_as_flowise_does() {
        let first = Url::parse("https://a.b:8443/docs/").unwrap();
        let page = Url::parse("http://a.b:8443/docs/x/?q=1#y").unwrap();
        assert_eq!(named(&first, &page), "https://a.b:8443/docs/x/?q=1");
        assert_eq!(named(&first, &first), "https://a.b:8443/docs");
        let found = links("<a href=one>1</a><a>none</a><a href='/two#x'>2</a><a href='mailto:x@y'>m</a>", &first);
        let found: Vec<&str> = found.iter().map(Url::as_str).collect();
        assert_eq!(found, ["https://a.b:8443/docs/one", "https://a.b:8443/two#x", "mailto:x@y"]);
        let found = links("<base href='https://c.d/e/'><a href='f'>f</a>", &first);
        assert_eq!(found[0].as_str(), "https://c.d/e/f");
    }
}
