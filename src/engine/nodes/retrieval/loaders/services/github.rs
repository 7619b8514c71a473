//! Files of a repository at GitHub, folder by folder.

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue, USER_AGENT};
use serde_json::Value;
use url::Url;

use super::asked::{FetchBudget, LoaderInput, RemoteDocuments, bearer, document, loader};
use super::ignored::IgnoredPaths;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::provider::web::{WebReader, WebRequest, web_address};
use crate::engine::text::percent::component;

const MOST_FILES: usize = 2000;
const MOST_FOLDERS: usize = 500;

/// Ends of names of files that are no text.
const BINARY: &str = " 3g2 3gp 7z a aac aif aiff alz ape apk ar arj avi avif bak bin bmp bz2 cab class cpio cr2 dat deb dex \
    dll dmg doc docx dot dwg ear eot epub exe fla flac flv gif gz gzip heic icns ico img iso jar jpeg jpg lib lz lz4 lzma \
    m4a m4v mid mkv mobi mov mp3 mp4 mpeg mpg node o odp ods odt oga ogg ogv opus otf pdf png ppt pptx psd pyc pyo rar rpm \
    rtf so sqlite swf tar tgz tif tiff ttf war wasm wav webm webp whl wma wmv woff woff2 xls xlsb xlsm xlsx xz z zip zst ";

pub(super) struct Github;

impl NodeKind for Github {
    fn names(&self) -> &'static [&'static str] {
        &["github"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        inputs.ignore(&["maxConcurrency", "maxRetries"]);
        let base = inputs.text("githubBaseUrl").unwrap_or_else(|| "https://github.com".to_owned());
        let api = inputs.text("githubInstanceApi").unwrap_or_else(|| "https://api.github.com".to_owned());
        let link = inputs.required_text("repoLink").unwrap_or_default();
        let branch = inputs.text("branch").unwrap_or_else(|| "main".to_owned());
        let is_deep = inputs.flag("recursive").unwrap_or(false);
        let ignored = inputs.json("ignorePath").map(|patterns| IgnoredPaths::read(&patterns)).transpose();
        let ignored = ignored.map_err(|problem| inputs.refuse("ignorePath", problem)).ok()?.unwrap_or_default();
        let token = inputs.optional_credential("githubApi", "accessToken");
        let mut headers = vec![(USER_AGENT, HeaderValue::from_static("langchain"))];
        headers.extend(token.as_ref().and_then(bearer));
        let reader = WebReader::new(&inputs.compiler.context.targets);
        let base = base.trim_end_matches('/').to_owned();
        let repository = Repository::of(&link, &base);
        let files = RepositoryFiles {
            reader,
            base,
            api: api.trim_end_matches('/').to_owned(),
            repository,
            branch,
            is_deep,
            ignored,
            headers,
        };
        loader(inputs, Some(LoaderInput::Remote(Arc::new(files))))
    }
}

#[derive(Debug, PartialEq)]
struct Repository {
    owner: String,
    name: String,
    folder: String,
}

impl Repository {
    /// `BASE/owner/name/tree/branch/folder`.
    fn of(link: &str, base: &str) -> Option<Self> {
        let begin = link.to_ascii_lowercase().find(&base.to_ascii_lowercase())?;
        let rest = link.get(begin + base.len()..)?.strip_prefix('/')?;
        let mut parts = rest.splitn(3, '/');
        let (owner, name, rest) = (parts.next()?, parts.next()?, parts.next().unwrap_or_default());
        let folder = rest.strip_prefix("tree/").and_then(|rest| rest.split_once('/')).map_or("", |(_, folder)| folder);
        if owner.is_empty() || name.is_empty() {
            return None;
        }
        Some(Self { owner: owner.to_owned(), name: name.to_owned(), folder: folder.to_owned() })
    }
}

#[derive(Debug)]
struct RepositoryFiles {
    reader: WebReader,
    base: String,
    api: String,
    /// `None`: the link leads to none.
    repository: Option<Repository>,
    branch: String,
    is_deep: bool,
    ignored: IgnoredPaths,
    headers: Vec<(HeaderName, HeaderValue)>,
}

fn is_binary(path: &str) -> bool {
    let end = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, end)| end.to_ascii_lowercase());
    end.is_some_and(|end| !end.contains(' ') && BINARY.contains(&format!(" {end} ")))
}

impl RemoteDocuments for RepositoryFiles {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let repository = self.repository.as_ref().ok_or_else(|| Failure::flow("Invalid GitHub URL format."))?;
            let mut room = FetchBudget::new();
            let mut documents = Vec::new();
            let mut left = vec![repository.folder.clone()];
            let mut folders = 0;
            while let Some(folder) = left.pop() {
                folders += 1;
                if folders > MOST_FOLDERS {
                    return Err(Failure::flow(format!("the repository has more than {MOST_FOLDERS} folders")));
                }
                let mut inner = Vec::new();
                for entry in self.entries(repository, &folder, &mut room, run).await? {
                    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
                    let path = text("path").to_owned();
                    match text("type") {
                        _ if self.ignored.has(&path) => {}
                        "dir" if self.is_deep => inner.push(path),
                        "dir" => {}
                        "file" if entry.get("size").and_then(Value::as_u64) == Some(0) => {}
                        _ if is_binary(&path) => {}
                        _ => {
                            if documents.len() >= MOST_FILES {
                                return Err(Failure::flow(format!("the repository has more than {MOST_FILES} files")));
                            }
                            let text = self.content(text("download_url"), &mut room, run).await?;
                            documents.push(self.document(repository, text, path));
                        }
                    }
                }
                left.extend(inner.into_iter().rev());
            }
            Ok(documents)
        })
    }
}

impl RepositoryFiles {
    fn request(&self) -> WebRequest {
        WebRequest { headers: self.headers.clone(), ..WebRequest::default() }
    }

    /// Whether an address that an answer names may be told the token.
    fn knows(&self, url: &Url) -> bool {
        is_of([&*self.api, &*self.base, "https://raw.githubusercontent.com"], url)
    }

    async fn entries(
        &self,
        repository: &Repository,
        folder: &str,
        room: &mut FetchBudget,
        run: &Run<'_>,
    ) -> Result<Vec<Value>, Failure> {
        let Repository { owner, name, .. } = repository;
        let (folder, branch) = (component(folder), component(&self.branch));
        let url = format!("{}/repos/{owner}/{name}/contents/{folder}?ref={branch}", self.api);
        let url = web_address(&url).map_err(Failure::flow)?;
        match room.json(&self.reader, &url, self.request(), run).await? {
            Value::Array(entries) => Ok(entries),
            one => Ok(vec![one]),
        }
    }

    /// A file that cannot be read is empty, as in Flowise.
    async fn content(&self, url: &str, room: &mut FetchBudget, run: &Run<'_>) -> Result<String, Failure> {
        let Ok(url): Result<Url, _> = web_address(url) else { return Ok(String::new()) };
        let request = if self.knows(&url) { self.request() } else { WebRequest::default() };
        match room.ask(&self.reader, &url, request, run).await {
            Ok(answer) => Ok(answer.text()),
            Err(failure) if failure.ends_run() => Err(failure),
            Err(_) => Ok(String::new()),
        }
    }

    fn document(&self, repository: &Repository, text: String, path: String) -> Document {
        let Repository { owner, name, .. } = repository;
        let metadata = [
            ("source", path.into()),
            ("repository", format!("{}/{owner}/{name}", self.base).into()),
            ("branch", self.branch.clone().into()),
        ];
        document(text, metadata)
    }
}

fn is_of(servers: [&str; 3], url: &Url) -> bool {
    servers.iter().any(|own| Url::parse(own).is_ok_and(|own| own.origin() == url.origin()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_repositories() {
        let of =
            |link: &str| Repository::of(link, "https://github.com").map(|it| [it.owner, it.name, it.folder].join("|"));
        assert_eq!(of("https://github.com/a/b").as_deref(), Some("a|b|"));
        assert_eq!(of("https://GitHub.com/a/b/tree/main/docs/en").as_deref(), Some("a|b|docs/en"));
        assert_eq!((of("https://github.com/a"), of("https://gitlab.com/a/b")), (None, None));
        let known =
            |url: &str| is_of(["https://api.a.org/v3", "https://a.org", "https://b.org"], &url.parse().unwrap());
        assert!(known("https://a.org/raw/x") && known("https://api.a.org/x?token=1") && known("https://b.org/x"));
        assert!(!known("http://a.org/raw/x") && !known("https://a.org:8443/x") && !known("https://a.org.evil.org/x"));
        assert!(is_binary("a/b.PNG") && is_binary("x.tar.gz") && !is_binary("a.png/readme") && !is_binary("Makefile"));
    }
}
