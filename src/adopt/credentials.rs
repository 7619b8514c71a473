//! What nodes prove themselves with: a file for its owner alone, with values as far as they are known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use super::folder::{FolderError, PlannedFile, TargetFolder};
use super::inventory::{FlowiseCredential, Inventory};
use super::plan::AdoptionPlan;
use super::yaml_text::{is_key, one_line, plain};
use crate::config::{Secret, load};
use crate::engine::{Credentials, Need};

pub(super) const CREDENTIALS_FILE: &str = "credentials.yaml";

/// By name or id, and field.
type Fields = BTreeMap<String, Secret>;

/// See the module.
pub(super) struct CredentialPlan {
    credentials: BTreeMap<String, Fields>,
    /// What their owners call them.
    labels: HashMap<String, String>,
    /// How many came with their values.
    pub(super) brought: usize,
    /// What nobody knows: name and field.
    pub(super) to_fill_in: BTreeSet<(String, String)>,
    /// The file as somebody else wrote it, if it has all of that.
    kept: Option<String>,
}

/// What is known before any flow was looked at.
pub(super) fn known(inventory: &Inventory, target: &TargetFolder) -> Result<Credentials, FolderError> {
    let mut all: Credentials = HashMap::new();
    let stores: Vec<String> = inventory.stores.iter().map(ToString::to_string).collect();
    let is_used = |id: &str| {
        let mut flows = inventory.flows.iter().filter_map(|flow| flow.flow_data.as_ref());
        flows.any(|text| text.contains(id)) || stores.iter().any(|text| text.contains(id))
    };
    for (name, fields, _) in brought(&inventory.credentials, is_used) {
        all.entry(name).or_default().extend(fields.clone());
    }
    for (name, fields) in filled_in(target)? {
        let known = all.entry(name).or_default();
        known.extend(fields.into_iter().filter(|(_, secret)| !secret.expose().is_empty()));
    }
    Ok(all)
}

/// A node has one of any of these kinds, and only the id says which.
const BY_ID: [&str; 3] = ["httpBasicAuth", "httpBearerToken", "httpApiKey"];

/// Under which name each is known: its kind's, if flows use no other of that kind, else Flowise's id of it.
fn brought(
    credentials: &[FlowiseCredential],
    is_used: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (String, &Fields, &FlowiseCredential)> {
    let used: Vec<&FlowiseCredential> = credentials.iter().filter(|credential| is_used(&credential.id)).collect();
    let mut kinds: HashMap<&str, usize> = HashMap::new();
    for credential in &used {
        *kinds.entry(&credential.kind).or_default() += 1;
    }
    let named = used.into_iter().filter_map(move |credential| {
        let is_only = kinds.get(&*credential.kind) == Some(&1) && !BY_ID.contains(&&*credential.kind);
        let name = if is_only { credential.kind.clone() } else { credential.id.clone() };
        let fields = credential.fields.as_ref()?;
        let are_keys = is_key(&name) && fields.keys().all(|field| is_key(field));
        are_keys.then_some((name, fields, credential))
    });
    named.collect::<Vec<_>>().into_iter()
}

/// What is in the file already. One with a mistake in it is not taken for empty: somebody may have filled it in.
fn filled_in(target: &TargetFolder) -> Result<Credentials, FolderError> {
    let text = target.text(CREDENTIALS_FILE).unwrap_or_default();
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Credentials::new());
    }
    load::credentials(&text).ok_or_else(|| FolderError::Unreadable(CREDENTIALS_FILE.to_owned()))
}

impl CredentialPlan {
    /// # Errors
    /// What is in the file already cannot be read.
    pub(super) fn of(plan: &AdoptionPlan, target: &TargetFolder) -> Result<Self, FolderError> {
        let mut credentials: BTreeMap<String, Fields> = BTreeMap::new();
        let mut labels = HashMap::new();
        let is_used = |id: &str| {
            plan.flows.iter().any(|flow| flow.text.contains(id))
                || plan.stores.as_ref().is_some_and(|text| text.contains(id))
        };
        let mut count = 0;
        for (name, fields, credential) in brought(&plan.credentials, is_used) {
            labels.insert(
                name.clone(),
                format!("{} ({})", one_line(&credential.label, 60), one_line(&credential.kind, 60)),
            );
            credentials.entry(name).or_default().extend(fields.clone());
            count += 1;
        }
        // What somebody wrote here counts more than what Flowise had.
        let is_ours = target.is_ours(CREDENTIALS_FILE);
        let there = filled_in(target)?;
        for (name, fields) in there.clone() {
            let known = credentials.entry(name).or_default();
            for (field, secret) in fields.into_iter().filter(|(_, secret)| !secret.expose().is_empty()) {
                if !is_ours || !known.contains_key(&field) {
                    known.insert(field, secret);
                }
            }
        }
        let mut to_fill_in = BTreeSet::new();
        let inspections = plan.here().filter_map(|flow| flow.inspection.as_ref().ok());
        for missing in inspections.flat_map(|inspection| &inspection.nodes).flat_map(|node| &node.missing) {
            if let Need::Credential { name, field } = &missing.need {
                let known = credentials.entry(name.clone()).or_default();
                known.entry(field.clone()).or_insert_with(|| Secret::new(String::new()));
                to_fill_in.insert((name.clone(), field.clone()));
            }
        }
        let has = |name: &String, field: &String, secret: &Secret| {
            there.get(name).and_then(|fields| fields.get(field)).is_some_and(|known| known == secret)
        };
        let has_all =
            |(name, fields): (&String, &Fields)| fields.iter().all(|(field, secret)| has(name, field, secret));
        let kept = target.text(CREDENTIALS_FILE).filter(|_| !is_ours && credentials.iter().all(has_all));
        Ok(Self { credentials, labels, brought: count, to_fill_in, kept })
    }

    pub(super) fn file(&self) -> PlannedFile {
        if let Some(text) = &self.kept {
            return PlannedFile::secret(CREDENTIALS_FILE, text.clone()).merged();
        }
        let mut text = String::from(
            "# What flows prove themselves with, by the names that Flowise gives it; read again when it changes.\n\
             # For its owner alone. Nothing in it is expanded.\n",
        );
        if self.credentials.is_empty() {
            text.push_str("{}\n");
        }
        for (name, fields) in &self.credentials {
            if let Some(label) = self.labels.get(name) {
                let _ = writeln!(text, "# {label}");
            }
            let _ = writeln!(text, "{}:", plain(name));
            for (field, secret) in fields {
                let hint = if secret.expose().is_empty() { "   # fill in" } else { "" };
                let _ = writeln!(text, "  {}: {}{hint}", plain(field), plain(secret.expose()));
            }
        }
        PlannedFile::secret(CREDENTIALS_FILE, text).merged()
    }
}
