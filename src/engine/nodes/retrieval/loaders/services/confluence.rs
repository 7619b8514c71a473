//! Pages of a space in Confluence, a document each.

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fancy_regex::{Captures, Regex};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::Value;

use super::asked::{FetchBudget, LoaderInput, RemoteDocuments, document, loader, secret_header};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::documents::html::{PlainStyle, plain};
use crate::engine::nodes::retrieval::loaders::web::address;
use crate::engine::provider::web::{WebReader, WebRequest, web_address};
use crate::engine::text::javascript::{is_space, trim};

const USUAL_LIMIT: u64 = 25;
const MOST_PAGES: usize = 20_000;
/// Stands for a block of code while a page is made a text.
const BLOCK: &str = "CODE_BLOCK_";
const CLOUD: &str = "confluenceCloudApi";
const OWN: &str = "confluenceServerDCApi";

/// Macros that stand for a file, and those with code in them.
static FILES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"<ac:structured-macro\s+ac:name="(?:attachments|view-file)"[^>]*>"#).ok());
static CODE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let macro_ = r#"<ac:structured-macro.*?<ac:parameter ac:name="language">(.*?)</ac:parameter>.*?"#;
    let body = r"<ac:plain-text-body><!\[CDATA\[((?s:.*?))\]\]></ac:plain-text-body></ac:structured-macro>";
    Regex::new(&format!("{macro_}{body}")).ok()
});

pub(super) struct Confluence;

impl NodeKind for Confluence {
    fn names(&self) -> &'static [&'static str] {
        &["confluence"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        address(inputs, "baseUrl");
        let base = inputs.text("baseUrl").unwrap_or_default();
        let space = inputs.required_text("spaceKey").unwrap_or_default();
        let limit = inputs.integer("limit").filter(|limit| *limit > 0).unwrap_or(USUAL_LIMIT);
        let json = HeaderValue::from_static("application/json");
        let mut headers = vec![(CONTENT_TYPE, json.clone()), (ACCEPT, json)];
        headers.extend(caller(inputs));
        let reader = WebReader::new(&inputs.compiler.context.targets);
        let pages = SpacePages { reader, base, space, limit, headers };
        loader(inputs, Some(LoaderInput::Remote(Arc::new(pages))))
    }
}

/// Who asks: somebody with a token in Atlassian's cloud, or with one of a server of one's own.
fn caller(inputs: &mut Inputs<'_, '_, '_>) -> Option<(HeaderName, HeaderValue)> {
    if let Some(own) = inputs.optional_credential(OWN, "personalAccessToken") {
        return secret_header(AUTHORIZATION, &format!("Bearer {}", own.expose()));
    }
    let (user, token) = (inputs.credential(CLOUD, "username"), inputs.credential(CLOUD, "accessToken"));
    let caller = STANDARD.encode(format!("{}:{}", user?.expose(), token?.expose()));
    secret_header(AUTHORIZATION, &format!("Basic {caller}"))
}

#[derive(Debug)]
struct SpacePages {
    reader: WebReader,
    base: String,
    space: String,
    /// Pages that are asked for at once.
    limit: u64,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl RemoteDocuments for SpacePages {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let mut room = FetchBudget::new();
            let mut documents = Vec::new();
            let mut start = 0_u64;
            while documents.len() < MOST_PAGES {
                let url = format!(
                    "{}/rest/api/content?spaceKey={}&limit={}&start={start}&expand=body.storage,version",
                    self.base, self.space, self.limit
                );
                let url = web_address(&url).map_err(Failure::flow)?;
                let request = WebRequest { headers: self.headers.clone(), ..WebRequest::default() };
                let answer = room.json(&self.reader, &url, request, run).await?;
                let size = answer.get("size").and_then(Value::as_u64).unwrap_or(0);
                let pages = answer.get("results").and_then(Value::as_array).cloned().unwrap_or_default();
                if size == 0 || pages.is_empty() {
                    break;
                }
                let texts = tokio::task::spawn_blocking(move || {
                    pages.into_iter().map(|page| Ok((text_of(&page)?, page))).collect::<Result<Vec<_>, String>>()
                });
                let texts = texts.await.map_err(|_| Failure::flow("a page cannot be read"))?;
                let texts = texts.map_err(Failure::flow)?;
                documents.extend(texts.into_iter().map(|(text, page)| self.document(text, &page)));
                start = start.saturating_add(size);
            }
            Ok(documents)
        })
    }
}

impl SpacePages {
    fn document(&self, text: String, page: &Value) -> Document {
        let id = page.get("id").and_then(Value::as_str).unwrap_or_default();
        let field = |path: &str| page.pointer(path).cloned();
        let about = [
            ("id", field("/id")),
            ("status", field("/status")),
            ("title", field("/title")),
            ("type", field("/type")),
            ("url", Some(format!("{}/spaces/{}/pages/{id}", self.base, self.space).into())),
            ("version", field("/version/number")),
            ("updated_by", field("/version/by/displayName")),
            ("updated_at", field("/version/when")),
        ];
        let mut told = document(text, []);
        told.metadata.extend(about.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        told
    }
}

fn text_of(page: &Value) -> Result<String, String> {
    let html = page.pointer("/body/storage/value").and_then(Value::as_str).unwrap_or_default();
    let no_pattern = || "the pages cannot be read".to_owned();
    let (files, code) = (FILES.as_ref().ok_or_else(no_pattern)?, CODE.as_ref().ok_or_else(no_pattern)?);
    let html = files.replace_all(html, "[ATTACHMENT]");
    let mut blocks: Vec<Option<(String, String)>> = Vec::new();
    let html = code.replace_all(&html, |found: &Captures<'_, str>| {
        let part = |number: usize| found.get(number).map(|part| part.as_str()).unwrap_or_default();
        blocks.push(Some((part(1).to_owned(), trim(part(2)).to_owned())));
        format!("\n{BLOCK}{}\n", blocks.len() - 1)
    });
    let text = plain(&html, PlainStyle { wrapped_at: None, keeps_lines: true })?;
    Ok(without_empty_lines(&put_back(&text, &mut blocks)))
}

/// Puts each block where its number stands, in one reading.
fn put_back(text: &str, blocks: &mut [Option<(String, String)>]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(BLOCK) {
        let after = behind.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let number = behind.strip_suffix(after).unwrap_or_default();
        let block = number.parse().ok().and_then(|at: usize| blocks.get_mut(at)?.take());
        out.push_str(before);
        match block {
            Some((language, code)) => out.extend(["```", &*language, "\n", &*code, "\n```"]),
            None => out.extend([BLOCK, number]),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Lines that hold nothing are left out, and what space stands in them.
fn without_empty_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|letter| !is_space(letter)).unwrap_or(rest.len());
        let space = rest.get(..end).unwrap_or_default();
        rest = rest.get(space.rfind(['\n', '\r']).map_or(0, |at| at + 1)..).unwrap_or_default();
        let line = rest.find(['\n', '\r', '\u{2028}', '\u{2029}']).map_or(rest.len(), |at| {
            at + rest.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)
        });
        out.push_str(rest.get(..line).unwrap_or_default());
        rest = rest.get(line..).unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Expected: what LangChain's loader made of it.
    #[test]
    fn pages_are_told_as_flowise_tells_them() {
        let html = "<h1>Title</h1><p>One &amp; two</p><ac:structured-macro ac:name=\"attachments\" />\
            <ac:structured-macro ac:name=\"code\"><ac:parameter ac:name=\"language\">js</ac:parameter>\
            <ac:plain-text-body><![CDATA[ let a = \"<b>\";\n\n  a; ]]></ac:plain-text-body></ac:structured-macro><ul><li>x</li></ul>";
        let told = text_of(&json!({ "body": { "storage": { "value": html } } })).unwrap();
        assert_eq!(told, "TITLE\nOne & two\n[ATTACHMENT]\n```js\nlet a = \"<b>\";\n  a;\n```\n * x");
    }

    #[test]
    fn blocks_of_code_are_put_back_once_each_by_their_numbers() {
        let block = |code: &str| Some(("js".to_owned(), code.to_owned()));
        let mut blocks = vec![block("a"); 11];
        (blocks[1], blocks[10]) = (block("b CODE_BLOCK_0"), block("c"));
        let told = put_back("CODE_BLOCK_10 CODE_BLOCK_1, CODE_BLOCK_1 CODE_BLOCK_x CODE_BLOCK_99", &mut blocks);
        let expected = "```js\nc\n``` ```js\nb CODE_BLOCK_0\n```, CODE_BLOCK_1 CODE_BLOCK_x CODE_BLOCK_99";
        assert_eq!(told, expected);
    }

    #[test]
    fn empty_lines_are_left_out() {
        assert_eq!(without_empty_lines("\n \n  a\n\n b \nc\n\n"), "  a\n b \nc\n");
        assert_eq!(without_empty_lines(""), "");
        assert_eq!(without_empty_lines(" \t"), " \t");
    }
}
