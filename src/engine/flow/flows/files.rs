//! What lies in an engine's folder.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use serde::de::IgnoredAny;

use super::contained::is_whole_export;
use crate::config::content::{self, MOST_DOCUMENT, MOST_EXPORT};
use crate::engine::documents::stores::DocumentStores;
use crate::exported;
use crate::uuid::is_uuid;

/// A file, and what is in it or why it cannot be read.
pub(super) type Text = (PathBuf, Result<String, String>);

/// The flows, and beside them exports of everything. A broken one is known by what it was before.
pub(super) fn texts(folder: &Path, before: Option<&DocumentStores>) -> std::io::Result<(Vec<Text>, Vec<Text>)> {
    let texts = files(folder)?.into_iter().map(|path| {
        let text = export_text(&path);
        (path, text)
    });
    let is_whole = |(path, text): &Text| match text {
        Ok(text) => is_whole_export(text) || (was_whole(before, path) && !is_json(text)),
        Err(_) => was_whole(before, path),
    };
    let (flows, whole) = texts.partition(|text| !is_whole(text));
    Ok((flows, whole))
}

fn was_whole(before: Option<&DocumentStores>, path: &Path) -> bool {
    before.is_some_and(|before| before.has_file(path))
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// What is in an export, whatever its encoding.
///
/// # Errors
/// It cannot be read.
pub(crate) fn export_text(path: &Path) -> Result<String, String> {
    let text = decoded(path)?;
    // What Flowise's API answers for one flow has the export in it.
    Ok(exported::unwrapped(&text).unwrap_or(text))
}

fn decoded(path: &Path) -> Result<String, String> {
    let text = content::read(path, MOST_EXPORT).map_err(|error| error.to_string())?;
    match exported::decoded(&text)? {
        Cow::Borrowed(whole) if whole.len() == text.len() => {}
        mended => return Ok(mended.into_owned()),
    }
    // Not copied: it may be large.
    String::from_utf8(text).map_err(|error| error.to_string())
}

/// Of everything that a flow is made of: its export, and the files in its folder.
pub(super) fn digest_of(text: &str, folder: &Path) -> std::io::Result<[u8; 32]> {
    let mut all = Context::new(&SHA256);
    all.update(text.as_bytes());
    let files = if folder.is_dir() { listed(folder)? } else { Vec::new() };
    for file in files.iter().filter(|file| file.is_file()) {
        all.update(file.as_os_str().as_encoded_bytes());
        match content::digest(file, MOST_DOCUMENT) {
            Ok(digest) => all.update(&digest),
            // No flow can read it.
            Err(error) if content::is_refused(&error) => all.update(&[0; 32]),
            Err(error) => return Err(error),
        }
    }
    Ok(all.finish().as_ref().try_into().unwrap_or_default())
}

/// The flows' files, in order.
pub(super) fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = listed(folder)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    Ok(files)
}

/// What is in a folder and not hidden, in order.
pub(crate) fn listed(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| !name.starts_with('.')) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The flows' files, and folders of what flows name, with what is in them.
pub(crate) fn watched(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut watched = files(folder)?;
    let is_of_flow = |folder: &Path| {
        // Of one that lies in a file with others: Flowise's id.
        folder.with_extension("json").is_file()
            || folder.file_name().and_then(|name| name.to_str()).is_some_and(is_uuid)
    };
    for folder in listed(folder)?.into_iter().filter(|folder| folder.is_dir() && is_of_flow(folder)) {
        watched.extend(listed(&folder)?.into_iter().filter(|path| path.is_file()));
        watched.push(folder);
    }
    Ok(watched)
}
