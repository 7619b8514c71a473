//! Papers of arXiv as a whole: what each PDF file says, one after the other.

use serde_json::Value;

use super::arxiv::{ArxivSearch, NOTHING, Paper, beginning, found};
use super::{Asked, Service as _, ServiceTool};
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::documents::pdf;
use crate::engine::provider::ProviderCall;
use crate::engine::provider::web::{WebReader, WebRequest, web_address};

const FILES: &str = "https://arxiv.org/pdf";
/// Of one paper's file.
const MOST_BYTES: usize = 64 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct WholePapers {
    pub(super) tool: ServiceTool<ArxivSearch>,
    pub(super) reader: WebReader,
    /// Whether a paper that cannot be read is told by its summary.
    pub(super) goes_on: bool,
}

impl Tool for WholePapers {
    fn spec(&self) -> &ToolSpec {
        self.tool.spec()
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let papers = self.papers(arguments, run).await?;
            let mut told = Vec::with_capacity(papers.len());
            for paper in papers {
                told.push(self.told(&paper, run).await?);
            }
            let text = if told.is_empty() { NOTHING.to_owned() } else { told.join("\n\n---\n\n") };
            Ok(ToolResult { text, ..ToolResult::default() })
        })
    }
}

impl WholePapers {
    async fn papers(&self, arguments: &Value, run: &Run<'_>) -> Result<Vec<Paper>, Failure> {
        let ServiceTool { endpoint, service, .. } = &self.tool;
        let Asked { method, path, headers, body } = service.asked(arguments)?;
        let call = ProviderCall { method, path: &path, headers: &headers, body: body.into() };
        match endpoint.fetch(call, run).await {
            Ok(answer) => found(&answer).map_err(Failure::Refused),
            Err(failure) if failure.ends_run() => Err(failure),
            Err(failure) => Err(service.failed(failure, run).err().unwrap_or(Failure::Timeout)),
        }
    }

    async fn told(&self, paper: &Paper, run: &Run<'_>) -> Result<String, Failure> {
        let Paper { summary, title, .. } = paper;
        match self.read(paper, run).await {
            Ok(text) => Ok(beginning(&format!("{summary}\n\nFull Content:\n{text}"), self.tool.service.text)),
            Err(failure) if failure.ends_run() => Err(failure),
            Err(failure) if self.goes_on => {
                let why = run.told(&failure);
                Ok(format!("{summary}\n\n[ERROR: Could not load full content - {why}]"))
            }
            Err(failure) => {
                let why = run.told(&failure);
                Err(Failure::Refused(format!("Failed to search Arxiv: Failed to process paper \"{title}\": {why}")))
            }
        }
    }

    /// What its file says, page by page.
    async fn read(&self, paper: &Paper, run: &Run<'_>) -> Result<String, Failure> {
        let url = web_address(&file_of(&paper.id)).map_err(Failure::flow)?;
        let answer = self.reader.ask(&url, WebRequest::default(), MOST_BYTES, run).await?;
        let status = answer.status;
        if !status.is_success() {
            let reason = status.canonical_reason().unwrap_or_default();
            return Err(Failure::Refused(format!("Failed to download PDF: {} {reason}", status.as_u16())));
        }
        run.budget().has_room(answer.body.len())?;
        // Reading takes a while, in which other runs of this thread should not wait.
        let read = tokio::task::spawn_blocking(move || pdf::read(&answer.body)).await;
        let read = read.map_err(|_| Failure::flow("the PDF file cannot be read"))?.map_err(Failure::flow)?;
        let pages: Vec<&str> = read.pages.iter().map(|(_, text)| text.as_str()).collect();
        Ok(pages.join("\n\n"))
    }
}

/// Where the file of a paper is, by its page.
fn file_of(page: &str) -> String {
    let id = ["http://arxiv.org/abs/", "https://arxiv.org/abs/"].iter().find_map(|start| page.strip_prefix(start));
    format!("{FILES}/{}.pdf", id.unwrap_or(page))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::nodes::tools::search::of_text;
    use crate::engine::provider::Targets;
    use crate::engine::testing::within;
    use crate::telemetry::metrics::Metrics;
    use std::sync::Arc;

    fn papers(goes_on: bool) -> Result<String, Failure> {
        let everywhere = ["0.0.0.0/0".parse().unwrap()];
        let targets = Targets::alone("t", &Metrics::new().unwrap()).allowing(&everywhere);
        let targets = Arc::new(targets.staged(crate::engine::stage::open()));
        let endpoint = targets.outward("https://export.arxiv.org", None).unwrap();
        let service = ArxivSearch { results: 3, query: 300, text: 90 };
        let tool = ServiceTool { spec: of_text("arxiv_search", "d"), endpoint, service };
        let papers = WholePapers { tool, reader: WebReader::new(&targets), goes_on };
        within(&json!({ "question": "q" }), async |run| {
            papers.call(&json!({ "query": "kettles" }), run).await.map(|told| told.text)
        })
    }

    #[test]
    fn papers_are_told_with_what_their_files_say() {
        let told = papers(false).unwrap();
        let summary = "Published: 2023-01-01\nTitle: A paper\nAuthors: Ada\nSummary: Its summary\n\nFull Content:\n";
        assert!(told.starts_with(summary), "{told}");
        // As much as its author wants.
        assert_eq!(told.encode_utf16().count(), 90);
    }

    #[test]
    fn files_are_found_by_their_papers_pages() {
        assert_eq!(file_of("http://arxiv.org/abs/2301.00001v1"), "https://arxiv.org/pdf/2301.00001v1.pdf");
        assert_eq!(file_of("2301.00001"), "https://arxiv.org/pdf/2301.00001.pdf");
    }
}
