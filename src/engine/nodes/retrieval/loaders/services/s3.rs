//! Files in a bucket of S3, or of whoever speaks as it does.

use std::sync::Arc;

use http::header::{ETAG, HeaderMap, HeaderName, LAST_MODIFIED};
use serde_json::{Map, Value};
use url::Url;

use super::asked::{FetchBudget, LoaderInput, RemoteDocuments, loader, service};
use super::unstructured::Partitioner;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::documents::office::bucket;
use crate::engine::models::aws::{self, AwsAccess};
use crate::engine::nodes::files::FlowFile;
use crate::engine::nodes::retrieval::loaders::files::usage;
use crate::engine::nodes::retrieval::loaders::formats::{Format, LinePointer, PdfUsage};
use crate::engine::nodes::retrieval::loaders::web::address;
use crate::engine::nodes::retrieval::split::may_have;
use crate::engine::provider::web::{WebAnswer, WebReader, WebRequest, web_address};
use crate::engine::text::percent::strict;

const MOST_FILES: usize = 1000;

/// Ends of names of what is read of a bucket as text.
const TEXTS: &str = " txt aspx asp cpp c cs css go h kt java js less ts php proto python py rst ruby rb rs scala sc scss sol sql \
    swift markdown md tex ltx html vb xml ";
/// The same of what is read as what it is.
const OTHERS: &str = " json csv xls xlsx xlsm xlsb docx ppt pptx pdf ";

/// A bucket, and who asks for what is in it.
#[derive(Debug)]
struct S3Bucket {
    reader: WebReader,
    /// Its address, without a slash at the end.
    place: String,
    region: String,
    /// `None`: whoever asks is nobody in particular.
    access: Option<AwsAccess>,
}

impl S3Bucket {
    /// `server`: where it is, if not at Amazon's.
    fn read(inputs: &mut Inputs<'_, '_, '_>, server: Option<&Url>) -> Option<Self> {
        let bucket = inputs.required_text("bucketName").unwrap_or_default();
        if !bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
            inputs.refuse("bucketName", "expected the name of a bucket");
            return None;
        }
        let region = aws::region(inputs)?;
        let is_somebody = inputs.optional_credential(aws::CREDENTIAL, "awsKey").is_some();
        let access = if is_somebody { AwsAccess::read(inputs, &region) } else { None };
        let place = match server {
            Some(server) => format!("{}/{bucket}", server.as_str().trim_end_matches('/')),
            None => of_amazon(&bucket, &region, inputs),
        };
        Some(Self { reader: WebReader::new(&inputs.compiler.context.targets), place, region, access })
    }

    async fn ask(&self, more: &str, room: &mut FetchBudget, run: &Run<'_>) -> Result<WebAnswer, Failure> {
        let url = web_address(&format!("{}/{more}", self.place)).map_err(Failure::flow)?;
        let headers = match &self.access {
            Some(access) => access.for_file(&url, &self.region, run).await?,
            None => Vec::new(),
        };
        room.ask(&self.reader, &url, WebRequest { headers, ..WebRequest::default() }, run).await
    }

    async fn file(&self, key: &str, room: &mut FetchBudget, run: &Run<'_>) -> Result<WebAnswer, Failure> {
        self.ask(&path_of(key), room, run).await
    }
}

/// Names with dots are no part of a host that a certificate is for.
fn of_amazon(bucket: &str, region: &str, inputs: &mut Inputs<'_, '_, '_>) -> String {
    let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    if bucket.contains(['.', '_']) || bucket.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return format!("{}/{bucket}", service(inputs, &format!("https://s3.{region}.{end}")));
    }
    service(inputs, &format!("https://{bucket}.s3.{region}.{end}"))
}

fn path_of(key: &str) -> String {
    key.split('/').map(strict).collect::<Vec<_>>().join("/")
}

/// Whether its path leads to itself, and not elsewhere.
fn is_plain(key: &str) -> bool {
    !key.is_empty() && !key.starts_with('/') && !key.split('/').any(|step| matches!(step, "." | ".."))
}

/// The node `S3`: one file.
pub(super) struct S3File;

impl NodeKind for S3File {
    fn names(&self) -> &'static [&'static str] {
        &["S3"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let bucket = S3Bucket::read(inputs, None);
        let name = inputs.text("bucketName").unwrap_or_default();
        let key = inputs.required_text("keyName").unwrap_or_default();
        if !key.is_empty() && !is_plain(&key) {
            inputs.refuse("keyName", "expected the key of an object");
        }
        let is_own = inputs.text("fileProcessingMethod").is_some_and(|method| method == "builtIn");
        let partitioner = Partitioner::read(inputs, |inputs| inputs.text("unstructuredAPIKey"));
        let partitioner = if is_own { None } else { Some(partitioner?) };
        let file = Arc::new(BucketFile { bucket: bucket?, name, key, partitioner });
        loader(inputs, Some(LoaderInput::Remote(file)))
    }
}

#[derive(Debug)]
struct BucketFile {
    bucket: S3Bucket,
    /// The bucket's.
    name: String,
    key: String,
    /// Who reads it, if not the engine.
    partitioner: Option<Partitioner>,
}

impl RemoteDocuments for BucketFile {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let mut room = FetchBudget::of_files();
            let found = self.bucket.file(&self.key, &mut room, run).await?;
            let file = FlowFile { name: base(&self.key).to_owned(), bytes: found.body.to_vec(), ..FlowFile::default() };
            if let Some(partitioner) = &self.partitioner {
                return partitioner.documents(&file, &mut room, run).await;
            }
            let kind = kind_of(&found.media_type, &self.key);
            let about = self.about(&kind, &found.headers, file.bytes.len());
            let told = tokio::task::spawn_blocking(move || documents(&file, &kind, about)).await;
            told.map_err(|_| Failure::flow("the file cannot be read"))?.map_err(Failure::flow)
        })
    }
}

impl BucketFile {
    fn about(&self, kind: &str, headers: &HeaderMap, size: usize) -> Map<String, Value> {
        let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let time = header(LAST_MODIFIED).and_then(|time| jiff::fmt::rfc2822::parse(time).ok());
        let time = time.map(|time| time.timestamp().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
        let about = [
            ("source", Some(format!("s3://{}/{}", self.name, self.key).into())),
            ("fileId", Some(self.key.as_str().into())),
            ("fileName", Some(base(&self.key).into())),
            ("mimeType", Some(kind.into())),
            ("size", Some(size.into())),
            ("lastModified", time.map(Value::from)),
            ("etag", header(ETAG).map(Value::from)),
            ("bucketName", Some(self.name.as_str().into())),
        ];
        about.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

fn base(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// What the bucket says that a file is, else what its name says.
fn kind_of(told: &str, key: &str) -> String {
    let told = told.split(';').next().unwrap_or_default().trim();
    if !told.is_empty() {
        return told.to_owned();
    }
    let end = base(key).rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default();
    let office = "application/vnd.openxmlformats-officedocument";
    match end.as_str() {
        "pdf" => "application/pdf".to_owned(),
        "docx" => format!("{office}.wordprocessingml.document"),
        "xlsx" => format!("{office}.spreadsheetml.sheet"),
        "pptx" => format!("{office}.presentationml.presentation"),
        "txt" => "text/plain".to_owned(),
        "csv" => "text/csv".to_owned(),
        "html" | "htm" => "text/html".to_owned(),
        "json" => "application/json".to_owned(),
        "xml" => "application/xml".to_owned(),
        "md" => "text/markdown".to_owned(),
        _ => "application/octet-stream".to_owned(),
    }
}

fn documents(file: &FlowFile, kind: &str, about: Map<String, Value>) -> Result<Vec<Document>, String> {
    let format = match kind {
        "application/pdf" => Format::Pdf(PdfUsage::Page),
        "application/msword" => Format::Docx,
        "application/vnd.ms-excel" => Format::Sheet,
        "application/vnd.ms-powerpoint" => Format::Slides,
        kind if kind.ends_with(".wordprocessingml.document") => Format::Docx,
        kind if kind.ends_with(".spreadsheetml.sheet") => Format::Sheet,
        kind if kind.ends_with(".presentationml.presentation") => Format::Slides,
        kind if kind.starts_with("text/") || matches!(kind, "application/json" | "application/xml") => {
            return Ok(vec![Document { text: file.text(), metadata: about }]);
        }
        kind => return Err(format!("{}: files of type {kind} cannot be read", file.name)),
    };
    format.looks_right(file)?;
    let mut documents = format.documents(file)?;
    let count = documents.len();
    may_have(&about, count)?;
    for (number, document) in documents.iter_mut().enumerate() {
        document.metadata.shift_remove("blobType");
        document.metadata.extend(about.clone());
        document.metadata.insert("totalPages".to_owned(), count.into());
        document.metadata.insert("pageIndex".to_owned(), number.into());
    }
    Ok(documents)
}

/// The node `s3Directory`: all files whose keys begin alike.
pub(super) struct S3Directory;

impl NodeKind for S3Directory {
    fn names(&self) -> &'static [&'static str] {
        &["s3Directory"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let server = if inputs.has("serverUrl") { Some(address(inputs, "serverUrl")?) } else { None };
        let bucket = S3Bucket::read(inputs, server.as_ref());
        let prefix = inputs.text("prefix").unwrap_or_default();
        let usage = usage(inputs, &["pdfUsage"]);
        let files = Arc::new(BucketFolder { bucket: bucket?, prefix, usage });
        loader(inputs, Some(LoaderInput::Remote(files)))
    }
}

#[derive(Debug)]
struct BucketFolder {
    bucket: S3Bucket,
    prefix: String,
    usage: PdfUsage,
}

impl RemoteDocuments for BucketFolder {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let mut room = FetchBudget::of_files();
            // As Flowise asks: what does not fit into one answer is left out.
            let list = format!("?list-type=2&prefix={}", strict(&self.prefix));
            let list = self.bucket.ask(&list, &mut room, run).await?.text();
            let keys = bucket::keys(&list).map_err(Failure::flow)?;
            let mut documents = Vec::new();
            for key in keys.into_iter().filter(|key| is_plain(key) && is_read(key)).take(MOST_FILES) {
                let bytes = self.bucket.file(&key, &mut room, run).await?.body.to_vec();
                let format = Format::Folder(self.usage, LinePointer::default());
                let file = FlowFile { name: key, bytes, ..FlowFile::default() };
                let told = tokio::task::spawn_blocking(move || format.documents(&file)).await;
                let told = told.map_err(|_| Failure::flow("a file cannot be read"))?;
                documents.extend(told.map_err(Failure::flow)?);
            }
            Ok(documents)
        })
    }
}

fn is_read(key: &str) -> bool {
    let end = base(key).rsplit_once('.').map(|(_, end)| format!(" {} ", end.to_ascii_lowercase()));
    end.is_some_and(|end| TEXTS.contains(&end) || OTHERS.contains(&end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::nodes::retrieval::loaders::tests::pdf;

    /// Each page has what is known of its file.
    #[test]
    fn a_bucket_does_not_say_very_much_of_a_file_of_very_many_pages() {
        let about = |tag: usize| Map::from_iter([("etag".to_owned(), Value::from("t".repeat(tag)))]);
        let read = |tag: usize| documents(&pdf(10_000, 1), "application/pdf", about(tag));
        assert_eq!(read(100).unwrap().len(), 10_000);
        assert_eq!(read(1 << 16).unwrap_err(), "The metadata of a document is too large for so many parts.");
    }

    #[test]
    fn keys_are_paths_that_lead_nowhere_else() {
        assert_eq!(path_of("a b/c+d(1).txt"), "a%20b/c%2Bd%281%29.txt");
        assert!(is_plain("a/b.txt") && is_plain("a..b"));
        assert!(!is_plain("a/../b") && !is_plain("") && !is_plain("/a") && !is_plain("./a"));
        assert!(
            is_read("a/b.PDF") && is_read("x.md") && !is_read("x.png") && !is_read("folder/") && !is_read("a.md/b")
        );
    }

    #[test]
    fn what_a_file_is_its_bucket_says_else_its_name() {
        assert_eq!(kind_of("text/plain; charset=utf-8", "a.pdf"), "text/plain");
        assert_eq!(kind_of("", "x/a.PDF"), "application/pdf");
        assert_eq!(kind_of("", "a"), "application/octet-stream");
        let file = FlowFile { name: "a.bin".to_owned(), ..FlowFile::default() };
        assert!(documents(&file, "application/octet-stream", Map::new()).unwrap_err().contains("a.bin"));
    }
}
