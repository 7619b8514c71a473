//! The node `webScraperTool`: pages that a model names, and those that they lead to.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::super::search::of_text;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::documents::html::HtmlPage;
use crate::engine::documents::office::sitemap;
use crate::engine::provider::web::{WebReader, WebRequest, web_address};
use crate::engine::text::javascript::{is_space, trim};
use crate::engine::text::variables::text_of;

/// Of one page, in bytes.
const LONGEST: usize = 8 << 20;
/// Where the author sets no bound.
const MOST_PAGES: usize = 1000;
const MOST_LINKS: usize = 20_000;

/// See the module.
pub(super) struct WebScraper;

impl NodeKind for WebScraper {
    fn names(&self) -> &'static [&'static str] {
        &["webScraperTool"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        inputs.fills(&["description"]);
        let by_sitemap = inputs.text("scrapeMode").is_some_and(|mode| mode == "sitemap");
        let whole = |name: &str, inputs: &mut Inputs<'_, '_, '_>| {
            inputs.number(name).filter(|number| *number >= 1.0).map(|number| number.min(1e6))
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to a million")]
        let (depth, pages) = (
            whole("maxDepth", inputs).map_or(1, |depth| depth as usize),
            whole("maxPages", inputs).map(|pages| pages as usize),
        );
        let seconds = inputs.number("timeoutS").filter(|seconds| *seconds > 0.0 && *seconds < 1e6).unwrap_or(60.0);
        let description = inputs.text("description").unwrap_or_else(|| described(by_sitemap, depth, pages, seconds));
        let reader = WebReader::new(&inputs.compiler.context.targets);
        let patience = Duration::from_secs_f64(seconds);
        let spec = of_text("web_scraper_tool", &description);
        Some(Part::tool(Scraping { spec, reader, by_sitemap, depth, pages, patience }))
    }
}

/// What a model is told of the tool, in Flowise's words.
fn described(by_sitemap: bool, depth: usize, pages: Option<usize>, seconds: f64) -> String {
    let what = if by_sitemap {
        let most = pages.map(|pages| format!(" up to {pages} pages")).unwrap_or_default();
        format!(
            "Scrapes URLs listed in the detected default sitemap (/sitemap.xml){most}, with a {seconds}-second timeout per \
             page. Falls back to Recursive Link Following if sitemap is not found or empty."
        )
    } else {
        let most = pages.map(|pages| format!(" or until {pages} pages are scraped")).unwrap_or_default();
        format!(
            "Recursively scrapes web pages starting from a given URL up to {depth} level(s) deep{most}, with a \
             {seconds}-second timeout per page, whichever comes first."
        )
    };
    format!(
        "{what} Extracts title, description, and paragraph text. Input should be a single URL string. Returns a JSON string \
         array of scraped page data."
    )
}

#[derive(Debug)]
struct Scraping {
    spec: ToolSpec,
    reader: WebReader,
    by_sitemap: bool,
    /// Pages in a row that lead to each other.
    depth: usize,
    pages: Option<usize>,
    /// For one page.
    patience: Duration,
}

/// What a page says of itself.
struct ScrapedPage {
    told: Value,
    links: Vec<String>,
}

impl Tool for Scraping {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let input = arguments.get("input").map(text_of).unwrap_or_default();
            let told = if input.is_empty() {
                json!({ "error": "Input must be a single URL string." })
            } else {
                self.scraped(&input, run).await?
            };
            Ok(ToolResult { text: told.to_string(), ..ToolResult::default() })
        })
    }
}

impl Scraping {
    async fn scraped(&self, input: &str, run: &Run<'_>) -> Result<Value, Failure> {
        if !self.by_sitemap {
            return self.followed(input, run).await;
        }
        let Ok(start) = web_address(input) else {
            return Ok(json!({ "error": "Invalid initial URL provided for sitemap detection." }));
        };
        let listed = self.listed(&start, run).await?;
        if listed.is_empty() {
            let pages = self.followed(input, run).await?;
            let warning = "Sitemap not found or empty; fell back to recursive scraping.";
            return Ok(json!({ "warning": warning, "scrapedData": pages }));
        }
        let (mut results, mut bytes) = (Vec::new(), 0);
        let mut seen = HashSet::new();
        for page in listed.into_iter().filter(|page| seen.insert(page.clone())).take(self.most()) {
            let told = self.page(&page, false, run).await?.told;
            bytes += told.to_string().len();
            run.budget().has_room(bytes)?;
            results.push(told);
        }
        Ok(results.into())
    }

    fn most(&self) -> usize {
        self.pages.unwrap_or(MOST_PAGES).min(MOST_PAGES)
    }

    /// The pages of a site's map.
    async fn listed(&self, start: &Url, run: &Run<'_>) -> Result<Vec<String>, Failure> {
        let Ok(map) = start.join("/sitemap.xml") else { return Ok(Vec::new()) };
        let asked = self.reader.ask(&map, WebRequest::default(), LONGEST, run);
        match tokio::time::timeout(self.patience, asked).await {
            Ok(Ok(answer)) if answer.status.is_success() => {
                let text = answer.text();
                let read = tokio::task::spawn_blocking(move || sitemap::pages(&text)).await;
                Ok(read.ok().and_then(Result::ok).unwrap_or_default())
            }
            Ok(Err(failure)) if failure.ends_run() => Err(failure),
            _ => Ok(Vec::new()),
        }
    }

    /// A page, and what it leads to, each page's links before its neighbours.
    async fn followed(&self, input: &str, run: &Run<'_>) -> Result<Value, Failure> {
        let mut results = Vec::new();
        let mut seen = HashSet::from([input.to_owned()]);
        let mut left = vec![(input.to_owned(), 1)];
        let mut bytes = 0;
        while let Some((url, depth)) = left.pop() {
            let ScrapedPage { told, links } = self.page(&url, depth == 1, run).await?;
            bytes += told.to_string().len();
            run.budget().has_room(bytes)?;
            results.push(told);
            if depth < self.depth {
                let mut next = Vec::new();
                for link in links {
                    if seen.len() >= self.most() {
                        break;
                    }
                    if seen.insert(link.clone()) {
                        next.push((link, depth + 1));
                    }
                }
                left.extend(next.into_iter().rev());
            }
        }
        Ok(results.into())
    }

    async fn page(&self, address: &str, is_first: bool, run: &Run<'_>) -> Result<ScrapedPage, Failure> {
        let Ok(url) = web_address(address) else {
            return Ok(ScrapedPage::wrong(address, "Invalid URL format or protocol"));
        };
        let asked = self.reader.ask(&url, WebRequest::default(), LONGEST, run);
        let answer = match tokio::time::timeout(self.patience, asked).await {
            Err(_) | Ok(Err(Failure::Timeout)) => {
                let millis = self.patience.as_millis();
                return Ok(ScrapedPage::wrong(address, &format!("Scraping Error: Request Timeout after {millis}ms")));
            }
            Ok(Err(failure)) if failure.ends_run() => return Err(failure),
            Ok(Err(failure)) => {
                return Ok(ScrapedPage::wrong(address, &format!("Scraping Error: {}", run.told(&failure))));
            }
            Ok(Ok(answer)) => answer,
        };
        if !answer.status.is_success() {
            let (status, reason) = (answer.status.as_u16(), answer.status.canonical_reason().unwrap_or_default());
            return Ok(ScrapedPage::wrong(address, &format!("HTTP Error: {status} {reason}. {}", answer.text())));
        }
        let kind = answer.media_type.as_str();
        if kind.is_empty() {
            return Ok(ScrapedPage::wrong(address, "Skipped content due to missing Content-Type header"));
        }
        if !kind.contains("text/html") && !is_first {
            let of_xml = kind.contains("text/xml") || kind.contains("application/xml");
            let what = if of_xml { "non-HTML" } else { "non-HTML/XML" };
            return Ok(ScrapedPage::wrong(address, &format!("Skipped {what} content (Content-Type: {kind})")));
        }
        let (text, address) = (answer.text(), address.to_owned());
        // Apart from the runs of this thread.
        let read = tokio::task::spawn_blocking(move || ScrapedPage::read(&text, &address, &url)).await;
        read.map_err(|_| Failure::flow("a page cannot be read"))
    }
}

impl ScrapedPage {
    fn wrong(url: &str, error: &str) -> Self {
        let told = json!({ "url": url, "title": "", "description": "", "body_text": "", "error": error });
        Self { told, links: Vec::new() }
    }

    fn read(text: &str, address: &str, url: &Url) -> Self {
        let page = HtmlPage::parse(text);
        let title = page.first_title().filter(|title| !title.is_empty());
        let title = title.unwrap_or_else(|| "No title found".to_owned());
        let ways = [("name", "description"), ("property", "og:description"), ("name", "twitter:description")];
        let description = ways.iter().find_map(|(attribute, value)| page.meta(attribute, value));
        let description = description.unwrap_or("No description found");
        let paragraphs = page.paragraphs();
        let paragraphs: Vec<&str> = paragraphs.iter().filter(|text| !text.is_empty()).map(|text| trim(text)).collect();
        let told = json!({
            "url": address,
            "title": trim(&title),
            "description": trim(description),
            "body_text": trim(&with_single_spaces(&paragraphs.join(" "))),
        });
        let mut seen = HashSet::new();
        let links = page.links().0.into_iter().filter_map(|link| url.join(link).ok()).map(String::from);
        let links = links.filter(|link| link.starts_with("http") && !link.contains('#'));
        let links = links.filter(|link| seen.insert(link.clone())).take(MOST_LINKS).collect();
        Self { told, links }
    }
}

/// Two blanks and more are one.
fn with_single_spaces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if is_space(letter) && letters.peek().is_some_and(|next| is_space(*next)) {
            while letters.peek().is_some_and(|next| is_space(*next)) {
                letters.next();
            }
            out.push(' ');
        } else {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected: what Flowise 3.1.4's tool says of the same page.
    #[test]
    fn a_page_is_told_as_flowise_tells_it() {
        let page = "<html><head><title> A  title </title><title>other</title><meta name=description content=' Of it '>\
                    </head><body><p>One\n  two</p><div><p> three <b>four</b></p></div><p></p><a href='/x'>x</a>\
                    <a href='b#c'>y</a><a href=/x>z</a><a href='mailto:a@b'>m</a></body></html>";
        let url = web_address("https://a.example/p/q").unwrap();
        let ScrapedPage { told, links } = ScrapedPage::read(page, "https://a.example/p/q", &url);
        let expected = json!({ "url": "https://a.example/p/q", "title": "A  title", "description": "Of it",
            "body_text": "One two three four" });
        assert_eq!((told, links), (expected, vec!["https://a.example/x".to_owned()]));
        let bare = ScrapedPage::read("x", "https://a.example/", &url).told;
        assert_eq!((&bare["title"], &bare["description"]), (&json!("No title found"), &json!("No description found")));
    }

    #[test]
    fn models_are_told_the_bounds() {
        assert_eq!(
            described(false, 1, Some(10), 60.0),
            "Recursively scrapes web pages starting from a given URL up to 1 level(s) deep or until 10 pages are scraped, \
             with a 60-second timeout per page, whichever comes first. Extracts title, description, and paragraph text. \
             Input should be a single URL string. Returns a JSON string array of scraped page data."
        );
        assert!(described(true, 1, None, 0.5).starts_with(
            "Scrapes URLs listed in the detected default sitemap (/sitemap.xml), with a 0.5-second timeout per page. Falls"
        ));
    }
}
