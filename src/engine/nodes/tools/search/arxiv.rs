//! The node `arxiv`: papers that arXiv finds, by words or by their numbers.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::papers::WholePapers;
use super::{Asked, Service, ServiceTool, endpoint};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::run::Run;
use crate::engine::nodes::tools::arguments::parameters;
use crate::engine::provider::ProviderResponse;
use crate::engine::provider::web::WebReader;
use crate::engine::text::percent::pairs;
use crate::engine::text::variables::text_of;

const NAME: &str = "arxiv_search";
const DESCRIPTION: &str = "Use this tool to search for academic papers on Arxiv. You can search by keywords, topics, \
                           authors, or specific Arxiv IDs. The tool can return either paper summaries or download and \
                           extract full paper content.";
const QUERY: &str = "Search query for Arxiv papers. Can be keywords, topics, authors, or specific Arxiv IDs (e.g., \
                     2301.12345)";
const MOST_RESULTS: u64 = 3;
/// As JavaScript counts letters.
const LONGEST_QUERY: u64 = 300;
const LONGEST_TEXT: u64 = 4000;
pub(super) const NOTHING: &str = "No good Arxiv Result was found";

/// See the module.
pub(super) struct Arxiv;

impl NodeKind for Arxiv {
    fn names(&self) -> &'static [&'static str] {
        &["arxiv"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        // Which build of pdf.js reads a paper is of no matter here.
        inputs.ignore(&["legacyBuild"]);
        let is_whole = inputs.flag("loadFullContent").unwrap_or(false);
        let goes_on = inputs.flag("continueOnFailure").unwrap_or(false);
        inputs.fills(&["description", "arxivDescription"]);
        let (name, own) = (inputs.text("name"), inputs.text("arxivName"));
        let is_kept = |letter: &char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(*letter);
        let name = name.or(own).map(|name| name.to_lowercase().replace(' ', "_").chars().filter(is_kept).collect());
        let (description, own) = (inputs.text("description"), inputs.text("arxivDescription"));
        let above_zero = |number: &u64| *number > 0;
        let service = ArxivSearch {
            results: inputs.integer("topKResults").unwrap_or(MOST_RESULTS),
            query: inputs.integer("maxQueryLength").unwrap_or(LONGEST_QUERY),
            // None at all is as good as nothing said.
            text: inputs.integer("docContentCharsMax").filter(above_zero).unwrap_or(LONGEST_TEXT),
        };
        let endpoint = endpoint("https://export.arxiv.org", inputs)?;
        let query = json!({ "query": { "type": "string", "description": QUERY } });
        let spec = ToolSpec {
            name: name.unwrap_or_else(|| NAME.to_owned()),
            description: description.or(own).unwrap_or_else(|| DESCRIPTION.to_owned()),
            parameters: parameters(&query, &["query"]),
        };
        let tool = ServiceTool { spec, endpoint, service };
        if !is_whole {
            return Some(Part::tool(tool));
        }
        let reader = WebReader::new(&inputs.compiler.context.targets);
        Some(Part::tool(WholePapers { tool, reader, goes_on }))
    }
}

/// How much is asked and told.
#[derive(Debug)]
pub(super) struct ArxivSearch {
    pub(super) results: u64,
    pub(super) query: u64,
    pub(super) text: u64,
}

impl Service for ArxivSearch {
    fn asked(&self, arguments: &Value) -> Result<Asked, Failure> {
        let query = arguments.get("query").map(text_of).unwrap_or_default();
        if query.is_empty() {
            return Err(Failure::flow("Query is required for Arxiv search"));
        }
        let results = self.results.to_string();
        let params = if is_numbers(&beginning(&query, self.query)) {
            let ids = query.split_whitespace().collect::<Vec<_>>().join(",");
            pairs(&[("id_list", ids), ("max_results", results)])
        } else {
            let words = beginning(&query.replace([':', '-'], ""), self.query);
            let words = format!("all:{words}");
            let order = [("sortBy", "relevance".to_owned()), ("sortOrder", "descending".to_owned())];
            pairs(&[[("search_query", words), ("max_results", results)].as_slice(), &order].concat())
        };
        Ok(Asked::get(&format!("/api/query?{params}")))
    }

    fn told(&self, answer: &ProviderResponse, _: &Value) -> Result<String, String> {
        let papers = found(answer)?;
        if papers.is_empty() {
            return Ok(NOTHING.to_owned());
        }
        let papers: Vec<String> = papers.into_iter().map(|paper| paper.summary).collect();
        Ok(beginning(&papers.join("\n\n"), self.text))
    }

    fn failed(&self, failure: Failure, run: &Run<'_>) -> Result<String, Failure> {
        Err(Failure::Refused(format!("Failed to search Arxiv: {}", run.told(&failure))))
    }
}

/// The papers of an answer.
pub(super) fn found(answer: &ProviderResponse) -> Result<Vec<Paper>, String> {
    let status = answer.status;
    if !status.is_success() {
        let reason = status.canonical_reason().unwrap_or_default();
        return Err(format!("Failed to search Arxiv: Arxiv API error: {} {reason}", status.as_u16()));
    }
    Ok(papers(&String::from_utf8_lossy(&answer.body)))
}

/// So many letters, as JavaScript counts them.
pub(super) fn beginning(text: &str, units: u64) -> String {
    let mut taken = 0;
    let fits = |letter: &char| {
        taken += letter.len_utf16() as u64;
        taken <= units
    };
    text.chars().take_while(fits).collect()
}

/// Whether all words are numbers of papers: `2301.12345v2`, or seven digits with anything behind.
fn is_numbers(query: &str) -> bool {
    !query.is_empty() && query.split(char::is_whitespace).all(is_number)
}

fn is_number(word: &str) -> bool {
    let digits = |text: &str| text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    if let Some((month, rest)) = word.split_once('.').filter(|(month, _)| month.len() == 4 && digits(month) == 4) {
        let is_month = matches!(
            month.get(2..),
            Some("01" | "02" | "03" | "04" | "05" | "06" | "07" | "08" | "09" | "10" | "11" | "12")
        );
        let number = digits(rest);
        if is_month && number >= 4 {
            let version = rest.get(number..).unwrap_or_default();
            let is_version =
                version.strip_prefix('v').is_some_and(|number| !number.is_empty() && digits(number) == number.len());
            return number <= 5 && (version.is_empty() || is_version);
        }
    }
    digits(word) >= 7
}

/// One that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Paper {
    /// Its page.
    pub(super) id: String,
    pub(super) title: String,
    /// As models read it.
    pub(super) summary: String,
}

/// Each paper of a feed.
fn papers(feed: &str) -> Vec<Paper> {
    let mut papers = Vec::new();
    let mut rest = feed;
    while let Some((_, after)) = rest.split_once("<entry>") {
        let Some((entry, after)) = after.split_once("</entry>") else { break };
        papers.extend(paper(entry));
        rest = after;
    }
    papers
}

fn paper(entry: &str) -> Option<Paper> {
    let filled = |tag: &str| element(entry, tag).filter(|text| !text.is_empty());
    let id = filled("id")?.to_owned();
    let (title, summary) = (joined(filled("title")?), joined(filled("summary")?));
    if title.is_empty() || summary.is_empty() {
        return None;
    }
    let published = element(entry, "published").and_then(|text| text.parse::<Timestamp>().ok());
    let published = published.map_or_else(|| "Unknown".to_owned(), |at| at.strftime("%Y-%m-%d").to_string());
    let authors: Vec<&str> =
        entry.split("<author>").skip(1).filter_map(|author| element(author, "name")).map(str::trim).collect();
    let authors = authors.join(", ");
    let summary = format!("Published: {published}\nTitle: {title}\nAuthors: {authors}\nSummary: {summary}");
    Some(Paper { id, title, summary })
}

/// What stands in the first element of that name.
fn element<'a>(xml: &'a str, tag: &str) -> Option<&'a str> {
    let (_, after) = xml.split_once(&format!("<{tag}"))?;
    let (_, inside) = after.split_once('>')?;
    inside.split_once(&format!("</{tag}>")).map(|(inside, _)| inside)
}

/// Lines that were broken, in one.
fn joined(text: &str) -> String {
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default().to_owned();
    let whole = lines.fold(first, |text, line| {
        let rest = line.trim_start();
        // A break that no blank follows stays.
        if rest.len() == line.len() && !line.is_empty() { format!("{text}\n{line}") } else { format!("{text} {rest}") }
    });
    whole.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_papers_are_known() {
        for query in ["2301.12345", "2301.1234v2 0704.0001", "1234567", "1234567x"] {
            assert!(is_numbers(query), "{query}");
        }
        for query in ["", "2313.12345", "2301.123456", "2301.123", "2301.12345v", "attention 2301.12345", "a "] {
            assert!(!is_numbers(query), "{query}");
        }
    }
}
