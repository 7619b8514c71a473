//! Pages of `GitBook`: what stands in `main`, a line for each piece of text.

use std::sync::Arc;

use url::Url;

use super::asked::{FetchBudget, LoaderInput, RemoteDocuments, document, loader};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::documents::html::HtmlPage;
use crate::engine::documents::office::sitemap;
use crate::engine::nodes::retrieval::loaders::web::address;
use crate::engine::provider::web::{WebReader, WebRequest, web_address};

const MOST_PAGES: usize = 1000;

pub(super) struct Gitbook;

impl NodeKind for Gitbook {
    fn names(&self) -> &'static [&'static str] {
        &["gitbook"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let url = address(inputs, "webPath");
        let is_whole = inputs.flag("shouldLoadAllPaths").unwrap_or(false);
        let reader = WebReader::new(&inputs.compiler.context.targets);
        loader(inputs, Some(LoaderInput::Remote(Arc::new(GitbookPages { reader, url: url?, is_whole }))))
    }
}

#[derive(Debug)]
struct GitbookPages {
    reader: WebReader,
    url: Url,
    /// All pages that the sitemap names.
    is_whole: bool,
}

impl RemoteDocuments for GitbookPages {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let mut room = FetchBudget::new();
            let pages = if self.is_whole { self.pages(&mut room, run).await? } else { vec![self.url.clone()] };
            let mut documents = Vec::new();
            for page in pages.into_iter().take(MOST_PAGES) {
                let html = room.ask(&self.reader, &page, WebRequest::default(), run).await?.text();
                let told = tokio::task::spawn_blocking(move || {
                    let read = HtmlPage::parse(&html);
                    document(
                        read.lines_in("main"),
                        [("source", page.as_str().into()), ("title", read.heading_in("main").into())],
                    )
                });
                documents.push(told.await.map_err(|_| Failure::flow("a page cannot be read"))?);
            }
            Ok(documents)
        })
    }
}

impl GitbookPages {
    async fn pages(&self, room: &mut FetchBudget, run: &Run<'_>) -> Result<Vec<Url>, Failure> {
        let base = self.url.as_str().trim_end_matches('/');
        let map = web_address(&format!("{base}/sitemap.xml")).map_err(Failure::flow)?;
        let text = room.ask(&self.reader, &map, WebRequest::default(), run).await?.text();
        let named = sitemap::pages(&text).map_err(Failure::flow)?;
        let page = |page: String| web_address(&if page.contains(base) { page } else { format!("{base}{page}") }).ok();
        Ok(named.into_iter().filter_map(page).collect())
    }
}
