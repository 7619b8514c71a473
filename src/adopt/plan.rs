//! Which flow runs where, under which name and rules.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::credentials::known;
use super::folder::{FolderError, TargetFolder, lies_in};
use super::inventory::{FlowiseCredential, FlowiseKey, Inventory};
use super::names::UniqueNames;
use super::settings::FlowSettings;
use super::texts::CONFIG_FILE;
use super::variables::{VarValue, Variables};
use super::yaml_text::one_line;
use crate::config::HttpUrl;
use crate::engine::{self, Credentials, DocumentStores, ImportedRecords, Inspection, Need};
use crate::exported::{FlowRecord, MessageRecord, VariableRecord};
use crate::telemetry::metrics::Metrics;
use crate::uuid::is_uuid;

/// Files of the folder of flows that are no flow.
pub(super) const STORES: &str = "document-stores";
pub(super) const TOOLS: &str = "tools";
pub(super) const VARIABLES: &str = "variables";

/// See the module.
pub(super) struct AdoptionPlan {
    pub(super) flows: Vec<PlannedFlow>,
    /// Where flows stay that the engine does not run.
    pub(super) flowise: Option<String>,
    pub(super) tools: Vec<Value>,
    pub(super) variables: Vec<VariableRecord>,
    /// Flowise's export of its document stores; `None`: there are none.
    pub(super) stores: Option<String>,
    /// Names of document stores.
    pub(super) store_names: Vec<String>,
    pub(super) keys: Vec<FlowiseKey>,
    pub(super) credentials: Vec<FlowiseCredential>,
    pub(super) messages: Vec<MessageRecord>,
    /// What record managers have noted.
    pub(super) records: ImportedRecords,
    pub(super) others: BTreeMap<&'static str, usize>,
    pub(super) notes: Vec<String>,
}

/// A flow, and what becomes of it.
pub(super) struct PlannedFlow {
    /// Flowise's id, in small letters.
    pub(super) id: Option<String>,
    /// What its author calls it, on one line.
    pub(super) title: String,
    /// The public name, and its file's.
    pub(super) chatflow: String,
    /// The export.
    pub(super) text: String,
    /// The only key that may call it, by Flowise's id.
    pub(super) key_id: Option<String>,
    pub(super) settings: FlowSettings,
    pub(super) placement: Placement,
    /// Why it is no export, or what the engine says of it.
    pub(super) inspection: Result<Inspection, String>,
    /// Variables that it reads, by name: the value as it is written into the configuration.
    pub(super) vars: Vec<(String, VarValue)>,
    /// Where Flowise keeps files that it names.
    pub(super) storage: Option<PathBuf>,
    /// Chats of it are in the sources.
    pub(super) has_chats: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    /// The engine runs it.
    Here,
    /// Flowise goes on answering it.
    Flowise,
    /// Nobody would answer it.
    Nowhere,
}

/// Whether that can be the address of a Flowise.
pub(super) fn check_url(url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let host = rest.map(|rest| rest.trim_end_matches('/'));
    let is_plain = |host: &&str| !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ', '"', '\\', '$']);
    let is_address = |_: &&str| HttpUrl::parse(url).is_ok();
    host.filter(is_plain)
        .filter(is_address)
        .map(|_| ())
        .ok_or_else(|| "--flowise: expected Flowise's address without a path, such as http://127.0.0.1:3000".to_owned())
}

impl AdoptionPlan {
    /// # Errors
    /// Something that is there already cannot be read.
    pub(super) fn of(
        inventory: Inventory,
        flowise: Option<&str>,
        target: &TargetFolder,
        metrics: &Metrics,
    ) -> Result<Self, FolderError> {
        let credentials = known(&inventory, target)?;
        let store_names = inventory.stores.iter().filter_map(|store| store.get("name")?.as_str());
        let store_names = store_names.map(|name| one_line(name, 60)).collect();
        let named: HashMap<String, String> = inventory.stores.iter().filter_map(store_name).collect();
        let mut notes = inventory.notes;
        let (stores, loaded) = stores(&inventory.stores, &inventory.chunks, &inventory.tools, &mut notes);
        let with_chats: HashSet<String> =
            inventory.messages.iter().filter_map(|message| Some(message.flow.as_ref()?.to_ascii_lowercase())).collect();
        let mut planner = Planner {
            names: UniqueNames::without(&[STORES, TOOLS, VARIABLES]),
            credentials,
            stores: loaded,
            variables: Variables::of(&inventory.variables, &inventory.tools, &inventory.flows),
            storage: &inventory.storage,
            target,
            with_chats,
            has_flowise: flowise.is_some(),
            metrics,
        };
        // Names that were given before come first, so that a flow that is new takes none of them.
        let known: Vec<Option<String>> = inventory
            .flows
            .iter()
            .map(|flow| planner.names.again(target.before.names.get(&flow.id.as_ref()?.to_ascii_lowercase())?))
            .collect();
        let flows = inventory.flows.into_iter().zip(known).map(|(flow, name)| planner.flow(flow, name)).collect();
        let mut plan = Self {
            flows,
            flowise: flowise.map(|url| url.trim_end_matches('/').to_owned()),
            tools: inventory.tools,
            variables: inventory.variables,
            stores,
            store_names,
            keys: inventory.keys,
            credentials: inventory.credentials,
            messages: inventory.messages,
            records: inventory.records,
            others: inventory.others,
            notes,
        };
        plan.settle_flows();
        plan.name_stores(&named);
        Ok(plan)
    }

    /// Flows that flows run are there, as far as they run here themselves.
    fn settle_flows(&mut self) {
        let here = self.flows.iter().filter(|flow| flow.placement == Placement::Here);
        let here: HashSet<String> =
            here.flat_map(|flow| [Some(flow.chatflow.clone()), flow.id.clone()]).flatten().collect();
        for inspection in self.flows.iter_mut().filter_map(|flow| flow.inspection.as_mut().ok()) {
            for node in &mut inspection.nodes {
                node.missing.retain(|missing| !matches!(&missing.need, Need::Flow { name } if here.contains(name)));
            }
        }
    }

    /// Document stores by their names, where a flow says no more than an id.
    fn name_stores(&mut self, named: &HashMap<String, String>) {
        let inspections = self.flows.iter_mut().filter_map(|flow| flow.inspection.as_mut().ok());
        for missing in inspections.flat_map(|found| &mut found.nodes).flat_map(|node| &mut node.missing) {
            if let Need::Store { name: Some(name) } = &mut missing.need
                && let Some(known) = named.get(name)
            {
                name.clone_from(known);
            }
        }
    }

    /// Flows that somebody answers.
    pub(super) fn placed(&self) -> impl Iterator<Item = &PlannedFlow> {
        self.flows.iter().filter(|flow| flow.placement != Placement::Nowhere)
    }

    pub(super) fn here(&self) -> impl Iterator<Item = &PlannedFlow> {
        self.flows.iter().filter(|flow| flow.placement == Placement::Here)
    }

    pub(super) fn has_chatflow(&self) -> bool {
        self.placed().next().is_some()
    }

    /// By Flowise's ids.
    pub(super) fn names(&self) -> BTreeMap<String, String> {
        self.flows.iter().filter_map(|flow| Some((flow.id.clone()?, flow.chatflow.clone()))).collect()
    }
}

/// What deciding about a flow needs.
struct Planner<'a> {
    names: UniqueNames,
    credentials: Credentials,
    stores: Arc<DocumentStores>,
    variables: Variables<'a>,
    storage: &'a [PathBuf],
    target: &'a TargetFolder,
    with_chats: HashSet<String>,
    has_flowise: bool,
    metrics: &'a Metrics,
}

impl Planner<'_> {
    /// `name`: the one that it had before.
    fn flow(&mut self, record: FlowRecord, name: Option<String>) -> PlannedFlow {
        let mut settings = FlowSettings::of(&record);
        let id = record.id.as_deref().map(str::to_ascii_lowercase).filter(|id| is_uuid(id));
        let title = one_line(record.name.as_deref().unwrap_or_default(), 80);
        let otherwise = format!("flow-{}", id.as_deref().and_then(|id| id.get(..8)).unwrap_or_default());
        // A name that looks like an id would be taken for one.
        let wanted = if is_uuid(&title) { &otherwise } else { &title };
        let chatflow = name.unwrap_or_else(|| self.names.of(wanted, &otherwise));
        let key_id = record.key_id.clone();
        let text = record.into_export().unwrap_or_default();
        let storage = id.as_deref().filter(|_| text.contains("FILE-STORAGE::")).and_then(|id| self.stored(id));
        let folder = storage.clone().unwrap_or_else(|| self.target.files_of(&chatflow));
        let inspection = engine::inspect(
            &text,
            folder.clone(),
            &self.credentials,
            &[],
            &BTreeMap::new(),
            &self.stores,
            self.metrics,
        );
        let inspection = inspection.map_err(|problem| problem.to_string());
        let placement = match &inspection {
            Ok(inspection) if inspection.is_taken() => Placement::Here,
            // Flowise knows it by its id alone.
            _ if self.has_flowise && id.is_some() => Placement::Flowise,
            _ => Placement::Nowhere,
        };
        if storage.is_none() && placement != Placement::Here && text.contains("FILE-STORAGE::") {
            settings.notes.push(format!(
                "files that Flowise keeps are looked for in {}, or in the folder storage beside its database",
                folder.display()
            ));
        }
        let vars = if placement == Placement::Here { self.variables.read_by(&text) } else { Vec::new() };
        for (name, _) in vars.iter().filter(|(_, value)| *value == VarValue::Unknown) {
            settings.notes.push(format!(
                "the export does not say the value of the variable {name}: fill it in, under vars in {CONFIG_FILE}"
            ));
        }
        let missing = if placement == Placement::Here { self.variables.missing_from(&text) } else { BTreeSet::new() };
        if !missing.is_empty() {
            let names = missing.into_iter().collect::<Vec<_>>().join(", ");
            settings.notes.push(format!(
                "it reads variables that the sources do not have ({names}): fill them in, under vars of its chatflow in \
                 {CONFIG_FILE}, unless requests bring them"
            ));
        }
        let remembers = placement != Placement::Here || inspection.as_ref().is_ok_and(|found| found.remembers);
        let has_chats = remembers && id.as_ref().is_some_and(|id| self.with_chats.contains(id));
        PlannedFlow { id, title, chatflow, text, key_id, settings, placement, inspection, vars, storage, has_chats }
    }

    /// Where files of that flow lie: Flowise 3.x puts a folder for each organisation between.
    fn stored(&self, id: &str) -> Option<PathBuf> {
        let inside = |folder: &PathBuf| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
            entries.map(|entry| entry.path().join(id)).find(|path| path.is_dir())
        };
        let found = self.storage.iter().find_map(|folder| {
            let own = folder.join(id);
            Some((folder, if own.is_dir() { own } else { inside(folder)? }))
        });
        found.filter(|(folder, own)| lies_in(own, folder)).map(|(_, own)| own)
    }
}

/// A store's id, and what its owner calls it.
fn store_name(store: &Value) -> Option<(String, String)> {
    let text = |field: &str| store.get(field)?.as_str();
    Some((text("id")?.to_owned(), one_line(text("name")?, 60)))
}

/// Stores as Flowise exports them, and as the engine reads them, with the tools.
fn stores(
    stores: &[Value],
    chunks: &[Value],
    tools: &[Value],
    notes: &mut Vec<String>,
) -> (Option<String>, Arc<DocumentStores>) {
    let file = |name: &str, content: Value| (Path::new("flows").join(format!("{name}.json")), content.to_string());
    let tools = file(TOOLS, json!({ "Tool": tools }));
    let of_tools = |tools| DocumentStores::read(&[tools]).unwrap_or_default();
    if stores.is_empty() {
        return (None, of_tools(tools));
    }
    let ids: HashSet<&str> = stores.iter().filter_map(|store| store.get("id")?.as_str()).collect();
    // Flowise leaves passages behind when it deletes a store.
    let is_of_store = |chunk: &&Value| chunk.get("storeId").and_then(Value::as_str).is_some_and(|id| ids.contains(id));
    let chunks: Vec<&Value> = chunks.iter().filter(is_of_store).collect();
    let found = file(STORES, json!({ "DocumentStore": stores, "DocumentStoreFileChunk": chunks }));
    match DocumentStores::read(&[found.clone(), tools.clone()]) {
        Ok(loaded) => (Some(found.1), loaded),
        Err(problems) => {
            notes.extend(problems.into_iter().map(|(_, problem)| format!("document stores are left out: {problem}")));
            (None, of_tools(tools))
        }
    }
}
