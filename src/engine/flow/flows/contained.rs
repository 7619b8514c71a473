//! Flows that lie in one file with others: Flowise's export of everything, or a list of its API's records.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::Flows;
use super::files::Text;
use crate::exported;
use crate::uuid::is_uuid;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainedFlow {
    /// Flowise's id, by which it is found; without one, what its author calls it.
    pub(crate) name: String,
    /// What its author calls it, on one line.
    pub(crate) title: String,
    /// The export.
    pub(crate) text: String,
}

/// Whether a text is such a file, and not one flow.
pub(crate) fn is_whole_export(text: &str) -> bool {
    exported::is_container(text)
}

/// The flows of such a file.
///
/// # Errors
/// It cannot be read.
pub(crate) fn contained(text: &str) -> Result<Vec<ContainedFlow>, String> {
    let flows = exported::flows_in(text)?.into_iter().map(|record| {
        let title = record.title();
        let id = record.id.as_deref().map(str::to_ascii_lowercase).filter(|id| is_uuid(id));
        let name = id.or_else(|| record.name.clone()).unwrap_or_default();
        ContainedFlow { name, title, text: record.into_export().unwrap_or_default() }
    });
    Ok(flows.collect())
}

/// What is to be loaded of all such files, and what cannot be.
pub(super) struct ContainedFlows {
    /// Each with the file that it lies in.
    pub(super) flows: Vec<(PathBuf, ContainedFlow)>,
    /// By the flow's name: its file, and why.
    pub(super) failed: Vec<(String, PathBuf, String)>,
}

/// Of two flows with one name a file of its own counts, then the first. Of a file that cannot be read, the flows that it
/// had in `former` cannot be either.
pub(super) fn all(whole: &[Text], own: &[Text], former: Option<&Flows>) -> ContainedFlows {
    let own = own.iter().filter_map(|(path, _)| path.file_stem()?.to_str());
    let own: HashSet<&str> = own.collect();
    let mut found = ContainedFlows { flows: Vec::new(), failed: Vec::new() };
    let mut files: HashMap<String, &Path> = HashMap::new();
    for (path, text) in whole {
        let flows = text.as_ref().map_err(Clone::clone).and_then(|text| contained(text));
        let flows = match flows {
            Ok(flows) => flows,
            Err(message) => {
                let had = former.into_iter().flat_map(|former| &former.by_name);
                let had = had.filter(|(_, loaded)| loaded.path == *path).map(|(name, _)| name.clone());
                found.failed.extend(had.map(|name| (name, path.clone(), message.clone())));
                continue;
            }
        };
        for flow in flows.into_iter().filter(|flow| !flow.name.is_empty() && !own.contains(&*flow.name)) {
            if let Some(other) = files.get(&flow.name) {
                let message = format!("the flow \"{}\" is in {} as well", flow.title, other.display());
                found.failed.push((format!("{} (again)", flow.name), path.clone(), message));
                continue;
            }
            files.insert(flow.name.clone(), path);
            found.flows.push((path.clone(), flow));
        }
    }
    found
}
