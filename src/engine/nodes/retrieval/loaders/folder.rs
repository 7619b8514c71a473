//! A folder of files. Flowise reads one of its own machine; here it lies beside the flow, as other files do.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::files::{line_pointer, usage};
use super::formats::{Format, LinePointer, PdfUsage};
use super::{LoaderInput, loader};
use crate::config::content::{self, MOST_DOCUMENT};
use crate::engine::compile::context::Need;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::nodes::files::FlowFile;

const MOST_FILES: usize = 1000;
/// Folders within each other.
const DEEPEST: usize = 16;
/// Bytes of all files.
const MOST_BYTES: usize = 128 << 20;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[&FolderFiles, &NotionFolder];

struct FolderFiles;

impl NodeKind for FolderFiles {
    fn names(&self) -> &'static [&'static str] {
        &["folderFiles"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let usage = usage(inputs, &["pdfUsage"]);
        let pointer = line_pointer(inputs);
        let is_deep = inputs.flag("recursive").unwrap_or(false);
        let path = inputs.text("folderPath").unwrap_or_default();
        let files = named(inputs, "folderPath", &path, is_deep);
        loader(inputs, files.map(|files| LoaderInput::Files(files, Format::Folder(usage, pointer))))
    }
}

/// Pages that Notion has exported as Markdown.
struct NotionFolder;

impl NodeKind for NotionFolder {
    fn names(&self) -> &'static [&'static str] {
        &["notionFolder"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let path = inputs.text("notionFolder").unwrap_or_default();
        let mut files = named(inputs, "notionFolder", &path, true);
        if let Some(files) = &mut files {
            files.retain(|file| Path::new(&file.name).extension().is_some_and(|end| end == "md"));
        }
        let format = Format::Folder(PdfUsage::Page, LinePointer::default());
        loader(inputs, files.map(|files| LoaderInput::Files(files, format)))
    }
}

/// The files of a folder that an input names; `None`: it is not there, which is noted, or cannot be read, which is refused.
fn named(inputs: &mut Inputs<'_, '_, '_>, input: &str, path: &str, is_deep: bool) -> Option<Vec<FlowFile>> {
    let Some(folder) = folder_of(inputs, path) else {
        let (field, path) = (inputs.field(input), expected_at(inputs, path));
        inputs.compiler.miss(inputs.node, Need::File { field, path });
        return None;
    };
    files_in(&folder, path, is_deep).map_err(|problem| inputs.refuse(input, problem)).ok()
}

/// The folder of that name beside the flow's files, if it is there.
fn folder_of(inputs: &Inputs<'_, '_, '_>, path: &str) -> Option<PathBuf> {
    let folder = inputs.compiler.export.folder.as_ref()?.join(last_of(path)?);
    folder.is_dir().then_some(folder)
}

/// Where it would lie in the engine's folder.
fn expected_at(inputs: &Inputs<'_, '_, '_>, path: &str) -> Option<String> {
    let flow = inputs.compiler.export.folder.as_ref()?.file_name()?.to_str()?;
    Some(format!("{flow}/{}", last_of(path)?))
}

/// The last name of a path of Flowise's machine, whatever that is.
fn last_of(path: &str) -> Option<&str> {
    let name = path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next()?;
    (!matches!(name, "" | "." | "..")).then_some(name)
}

/// By their names, folder by folder; nothing that is a link leads out of it.
fn files_in(folder: &Path, told: &str, is_deep: bool) -> Result<Vec<FlowFile>, String> {
    let mut files = Vec::new();
    let mut room = MOST_BYTES;
    let mut left = vec![(folder.to_owned(), told.trim_end_matches('/').to_owned(), 0)];
    while let Some((folder, told, depth)) = left.pop() {
        let entries =
            std::fs::read_dir(&folder).map_err(|error| format!("the folder {told} cannot be read: {error}"))?;
        let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        let mut inner = Vec::new();
        for entry in entries {
            let Ok(kind) = entry.file_type() else { continue };
            let (path, name) = (entry.path(), entry.file_name());
            let told = format!("{told}/{}", OsStr::to_string_lossy(&name));
            if kind.is_dir() && is_deep && depth < DEEPEST {
                inner.push((path, told, depth + 1));
            } else if kind.is_file() {
                let bytes =
                    content::read(&path, MOST_DOCUMENT.min(room)).map_err(|error| format!("{told}: {error}"))?;
                room -= bytes.len().min(room);
                files.push(FlowFile { name: told, bytes, ..FlowFile::default() });
            }
            if files.len() > MOST_FILES {
                return Err(format!("the folder has more than {MOST_FILES} files"));
            }
        }
        left.extend(inner.into_iter().rev());
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_folder_are_found_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("docs");
        std::fs::create_dir_all(inside.join("more")).unwrap();
        std::fs::write(folder.path().join("secret.txt"), "S").unwrap();
        std::fs::write(inside.join("b.txt"), "B").unwrap();
        std::fs::write(inside.join("a.md"), "A").unwrap();
        std::fs::write(inside.join("more/c.txt"), "C").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret.txt"), inside.join("link.txt")).unwrap();
        std::os::unix::fs::symlink(folder.path(), inside.join("up")).unwrap();
        let names = |is_deep| {
            let files = files_in(&inside, "/data/docs/", is_deep).unwrap();
            files.into_iter().map(|file| file.name).collect::<Vec<_>>()
        };
        assert_eq!(names(false), ["/data/docs/a.md", "/data/docs/b.txt"]);
        assert_eq!(names(true), ["/data/docs/a.md", "/data/docs/b.txt", "/data/docs/more/c.txt"]);
    }
}
