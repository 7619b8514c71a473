//! Document loaders: what a flow's author gave, as documents or as one text.

pub(in crate::engine::nodes) mod files;
pub(in crate::engine::nodes) mod folder;
mod formats;
mod sent_file;
pub(in crate::engine::nodes) mod services;
pub(in crate::engine::nodes) mod web;

pub(crate) use self::formats::PdfUsage;
pub(crate) use self::sent_file::text_of;

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use self::formats::{Format, told_of_all};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{Document, DocumentSource, Splitter, ValueSource};
use crate::engine::contract::run::Run;
use crate::engine::nodes::files::FlowFile;

/// What is not in the flow, and is asked for when it is needed.
trait RemoteDocuments: fmt::Debug + Send + Sync {
    /// The documents before they are cut.
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>>;
}

/// What documents are made of.
#[derive(Debug)]
enum LoaderInput {
    Text(String),
    Files(Vec<FlowFile>, Format),
    Remote(Arc<dyn RemoteDocuments>),
}

#[derive(Debug, Default)]
struct Loader {
    label: String,
    /// `None`: no file was chosen.
    given: Option<LoaderInput>,
    splitter: Option<Arc<dyn Splitter>>,
    /// The author's own.
    metadata: Map<String, Value>,
    omit: Omit,
}

#[derive(Debug)]
enum Omit {
    /// All but the author's own.
    All,
    Keys(Vec<String>),
}

impl Default for Omit {
    fn default() -> Self {
        Self::Keys(Vec::new())
    }
}

fn loader(inputs: &mut Inputs<'_, '_, '_>, given: Option<LoaderInput>) -> Option<Part> {
    let splitter = inputs.part_as("textSplitter", Part::into_splitter, "a text splitter");
    let metadata = object(inputs, "metadata").unwrap_or_default();
    let omit = match inputs.text("omitMetadataKeys").as_deref() {
        None => Omit::default(),
        Some("*") => Omit::All,
        Some(keys) => Omit::Keys(keys.split(',').map(|key| key.trim().to_owned()).collect()),
    };
    let loader = Loader { label: inputs.node.data.label.clone(), given, splitter, metadata, omit };
    // A file that cannot be used is told when the flow is loaded, not when it is asked.
    if inputs.compiler.overrides.values.is_empty()
        && let Err(problem) = loader.checked()
    {
        let input = inputs.node.data.inputs.keys().find(|name| name.ends_with("File") || *name == "file").cloned();
        inputs.refuse(&input.unwrap_or_else(|| "text".to_owned()), problem);
        return None;
    }
    Some(output(inputs, Arc::new(SharedLoader(Arc::new(loader)))))
}

/// What the node's author wants of its documents.
pub(super) fn output(inputs: &Inputs<'_, '_, '_>, source: Arc<dyn DocumentSource>) -> Part {
    if inputs.output() == Some("text") { Part::Value(Arc::new(Joined(source))) } else { Part::Documents(source) }
}

fn object(inputs: &mut Inputs<'_, '_, '_>, name: &str) -> Option<Map<String, Value>> {
    let Value::Object(fields) = inputs.json(name)? else {
        inputs.refuse(name, "expected a JSON object");
        return None;
    };
    Some(fields)
}

/// A value of metadata that stands for one in the file.
fn pointer(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| text.starts_with('/'))
}

/// What a loader reads when it is asked.
#[derive(Debug)]
struct SharedLoader(Arc<Loader>);

impl DocumentSource for SharedLoader {
    fn documents<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Arc<[Document]>> {
        Box::pin(async move {
            let fetched = match &self.0.given {
                Some(LoaderInput::Remote(remote)) => remote.fetched(run).await?,
                _ => Vec::new(),
            };
            // Reading and cutting take a while, in which a worker's other requests should not wait.
            let loader = Arc::clone(&self.0);
            let read = tokio::task::spawn_blocking(move || loader.read(fetched)).await;
            read.map_err(|_| Failure::flow(format!("{}: the documents cannot be read", self.0.label)))?
                .map(Arc::from)
                .map_err(Failure::flow)
        })
    }
}

impl Loader {
    /// What is plainly wrong with the files, without work that they ask for.
    fn checked(&self) -> Result<(), String> {
        match &self.given {
            Some(LoaderInput::Files(files, format)) if format.is_costly() => {
                files.iter().try_for_each(|file| format.looks_right(file))
            }
            Some(LoaderInput::Text(_) | LoaderInput::Files(..)) => self.read(Vec::new()).map(drop),
            None | Some(LoaderInput::Remote(_)) => Ok(()),
        }
    }

    fn read(&self, fetched: Vec<Document>) -> Result<Vec<Document>, String> {
        let mut documents = Vec::new();
        match &self.given {
            None => {
                let advice = "choose it in Flowise's editor, and export the flow again";
                return Err(format!("{}: no file is chosen: {advice}", self.label));
            }
            Some(LoaderInput::Text(text)) => {
                self.split(vec![Document { text: text.clone(), metadata: Map::new() }], &mut documents)?;
            }
            Some(LoaderInput::Files(files, format)) => {
                let mut silent = Vec::new();
                for file in files {
                    let found = format.documents(file)?;
                    if found.is_empty() {
                        silent.push(file);
                    }
                    self.split(found, &mut documents)?;
                }
                told_of_all(&self.label, format, &silent, files.len())?;
            }
            Some(LoaderInput::Remote(_)) => self.split(fetched, &mut documents)?,
        }
        for document in &mut documents {
            self.set_metadata(document);
        }
        Ok(documents)
    }

    fn split(&self, new: Vec<Document>, documents: &mut Vec<Document>) -> Result<(), String> {
        match &self.splitter {
            Some(splitter) => documents.extend(splitter.split_documents(&new)?),
            None => documents.extend(new),
        }
        Ok(())
    }

    fn set_metadata(&self, document: &mut Document) {
        let found = std::mem::take(&mut document.metadata);
        let format = match &self.given {
            Some(LoaderInput::Files(_, format)) => Some(format),
            _ => None,
        };
        let mut own = self.metadata.clone();
        if matches!(format, Some(Format::Json(_) | Format::JsonLines(_))) {
            own.retain(|_, value| pointer(value).is_none());
        }
        document.metadata = match &self.omit {
            Omit::All => own,
            Omit::Keys(keys) => {
                // Only of a CSV file does what was found stand before what the author says.
                let (mut metadata, over) =
                    if matches!(format, Some(Format::Csv(_))) { (own, found) } else { (found, own) };
                metadata.extend(over);
                for key in keys {
                    omit(&mut metadata, key);
                }
                metadata
            }
        };
    }
}

/// Removes `key`, or `outer.key`.
fn omit(metadata: &mut Map<String, Value>, path: &str) {
    if metadata.shift_remove(path).is_some() {
        return;
    }
    if let Some((outer, inner)) = path.split_once('.')
        && let Some(Value::Object(fields)) = metadata.get_mut(outer)
    {
        omit(fields, inner);
    }
}

/// The documents as one text, for a value in a prompt.
#[derive(Debug)]
struct Joined(Arc<dyn DocumentSource>);

impl ValueSource for Joined {
    fn value<'a>(&'a self, _question: &'a str, run: &'a Run<'a>) -> Task<'a, Value> {
        Box::pin(async move {
            let documents = self.0.documents(run).await?;
            Ok(documents.iter().flat_map(|document| [&*document.text, "\n"]).collect::<String>().into())
        })
    }
}

#[cfg(test)]
mod tests;
