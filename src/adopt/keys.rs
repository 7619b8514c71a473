//! Who may call: the keys that Flowise's clients have, by their digests alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use super::folder::{FolderError, PlannedFile, TargetFolder};
use super::key_lists::{self, ChatflowNames};
use super::names::UniqueNames;
use super::plan::{AdoptionPlan, PlannedFlow};
use super::yaml_text::plain;
use crate::config::Secret;
use crate::keys::{self, Digest, KeyKind, secret};

pub(super) const KEYS_FILE: &str = "keys.yaml";
/// Secrets of keys that were made, once.
pub(super) const NEW_KEYS_FILE: &str = "new-keys.txt";
/// Stands for Flowise's id where a key is for no flow of its own.
const ANY: &str = "*";

/// See the module.
pub(super) struct KeyPlan {
    keys: Vec<PlannedKey>,
    /// By Flowise's ids.
    ids: BTreeMap<String, String>,
    text: String,
    /// Ids of those that came along, of those that are new, and of those that a run before has made.
    pub(super) brought: Vec<String>,
    pub(super) made: Vec<String>,
    pub(super) kept: Vec<String>,
    pub(super) notes: Vec<String>,
}

pub(super) struct PlannedKey {
    pub(super) id: String,
    digest: Digest,
    /// `None`: all.
    pub(super) chatflows: Option<BTreeSet<String>>,
    /// Of one that was just made.
    secret: Option<Secret>,
}

/// A key as it is wanted, before it has a digest.
struct WantedKey<'a> {
    /// Flowise's id of it.
    flowise_id: &'a str,
    name: String,
    /// `None`: nobody knows it.
    secret: Option<&'a Secret>,
    chatflows: Option<BTreeSet<String>>,
    /// Flowise's ids of others with the same secret.
    aliases: Vec<&'a str>,
}

impl KeyPlan {
    /// # Errors
    /// The keys file that is there cannot be read or added to, or there is no randomness.
    pub(super) fn of(plan: &AdoptionPlan, target: &TargetFolder) -> Result<Self, FolderError> {
        let before = target.text(KEYS_FILE);
        let known: BTreeMap<String, Digest> = match &before {
            Some(text) => parsed(text).ok_or_else(|| FolderError::Unreadable(KEYS_FILE.to_owned()))?,
            None => BTreeMap::new(),
        };
        let mut key_plan = Self {
            keys: Vec::new(),
            ids: BTreeMap::new(),
            text: String::new(),
            brought: Vec::new(),
            made: Vec::new(),
            kept: Vec::new(),
            notes: Vec::new(),
        };
        let wanted = key_plan.wanted(plan);
        let mut names = UniqueNames::without(&["other", "anonymous"]);
        for flowise_id in wanted.iter().map(|wanted| wanted.flowise_id) {
            if let Some(id) = target.before.keys.get(flowise_id).and_then(|id| names.again(id)) {
                key_plan.ids.insert(flowise_id.to_owned(), id);
            }
        }
        for wanted in wanted {
            let had = key_plan.ids.get(wanted.flowise_id).cloned();
            let id = had.clone().unwrap_or_else(|| names.of(&wanted.name, "key"));
            for flowise_id in [wanted.flowise_id].iter().chain(&wanted.aliases) {
                key_plan.ids.insert((*flowise_id).to_owned(), id.clone());
            }
            if had.is_some() && before.is_some() && !known.contains_key(&id) {
                key_plan.notes.push(format!("the key {id} was taken out of {KEYS_FILE} since, and stays out"));
                continue;
            }
            let (digest, secret) = match (wanted.secret, known.get(&id)) {
                (Some(secret), _) => (secret::digest(secret.expose()), None),
                (None, Some(digest)) => (*digest, None),
                (None, None) => {
                    let made = secret::generate(KeyKind::Secret).map_err(|_| FolderError::NoRandomness)?;
                    (secret::digest(made.expose()), Some(made))
                }
            };
            let list = match (wanted.secret, &secret) {
                (Some(_), _) => &mut key_plan.brought,
                (None, Some(_)) => &mut key_plan.made,
                (None, None) => &mut key_plan.kept,
            };
            list.push(id.clone());
            if wanted.flowise_id == ANY {
                key_plan.notes.push(format!("the key {id} may call every flow: {}", why_any(plan)));
            }
            key_plan.keys.push(PlannedKey { id, digest, chatflows: wanted.chatflows, secret });
        }
        key_plan.text = match before.filter(|_| !target.is_ours(KEYS_FILE)) {
            Some(text) => {
                let text = key_plan.added_to(text, &known)?;
                let chatflows = ChatflowNames {
                    before: target.before.names.values().map(String::as_str).collect(),
                    now: plan.placed().map(|flow| &*flow.chatflow).collect(),
                };
                key_plan.notes.extend(key_lists::notes(&text, &key_plan.keys, &chatflows));
                text
            }
            None => key_plan.written(),
        };
        Ok(key_plan)
    }

    /// Flowise's keys, and one for each that flows name and nobody knows. What is public in Flowise may be called with any
    /// key, as Flowise does not look at it there.
    fn wanted<'a>(&mut self, plan: &'a AdoptionPlan) -> Vec<WantedKey<'a>> {
        let is_open = |flow: &&PlannedFlow| flow.settings.is_public;
        let chatflows = |id: &str| -> BTreeSet<String> {
            let is_its_own = |flow: &&PlannedFlow| flow.key_id.as_deref() == Some(id) || is_open(flow);
            plan.placed().filter(is_its_own).map(|flow| flow.chatflow.clone()).collect()
        };
        let mut wanted: Vec<WantedKey<'_>> = Vec::new();
        let mut seen = BTreeSet::new();
        for key in &plan.keys {
            seen.insert(&*key.id);
            let chatflows = chatflows(&key.id);
            if chatflows.is_empty() {
                self.notes.push(format!("the key {:?} may call no flow, and is left out", key.name));
                continue;
            }
            let is_usable = secret::is_plausible(key.secret.expose());
            if !is_usable {
                self.notes.push(format!("the key {:?} is too short to be safe: a new one was made", key.name));
            }
            let secret = is_usable.then_some(&key.secret);
            // A secret that Flowise has twice is one key here.
            let same = secret.and_then(|secret| wanted.iter_mut().find(|known| known.secret == Some(secret)));
            if let Some(WantedKey { chatflows: Some(known), aliases, .. }) = same {
                known.extend(chatflows);
                aliases.push(&key.id);
                continue;
            }
            wanted.push(WantedKey {
                flowise_id: &key.id,
                name: key.name.clone(),
                secret,
                chatflows: Some(chatflows),
                aliases: Vec::new(),
            });
        }
        for id in plan.placed().filter_map(|flow| flow.key_id.as_deref()) {
            if seen.insert(id) {
                let name = format!("flowise-{}", id.chars().take(8).collect::<String>());
                wanted.push(WantedKey {
                    flowise_id: id,
                    name,
                    secret: None,
                    chatflows: Some(chatflows(id)),
                    aliases: Vec::new(),
                });
            }
        }
        let is_without_key = |flow: &PlannedFlow| !flow.settings.is_public && flow.key_id.is_none();
        if wanted.is_empty() || plan.placed().any(is_without_key) {
            wanted.push(WantedKey {
                flowise_id: ANY,
                name: "programs".to_owned(),
                secret: None,
                chatflows: None,
                aliases: Vec::new(),
            });
        }
        wanted
    }

    fn written(&self) -> String {
        let mut text = String::from(
            "# Keys that Flowise's clients have go on working: here are their SHA-256 only. Add others with `flowgate keys create`.\nkeys:\n",
        );
        for key in &self.keys {
            text.push_str(&item(key));
        }
        text
    }

    /// With keys that somebody has added or changed.
    fn added_to(&self, mut text: String, known: &BTreeMap<String, Digest>) -> Result<String, FolderError> {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let new: Vec<&PlannedKey> = self.keys.iter().filter(|key| !known.contains_key(&key.id)).collect();
        for key in &new {
            text.push_str(&item(key));
        }
        let is_added = |known: BTreeMap<String, Digest>| new.iter().all(|key| known.get(&key.id) == Some(&key.digest));
        if parsed(&text).is_some_and(is_added) { Ok(text) } else { Err(FolderError::Unreadable(KEYS_FILE.to_owned())) }
    }

    pub(super) fn files(&self) -> Vec<PlannedFile> {
        let mut files = vec![PlannedFile::secret(KEYS_FILE, self.text.clone()).merged()];
        let made: Vec<(&str, &Secret)> =
            self.keys.iter().filter_map(|key| Some((&*key.id, key.secret.as_ref()?))).collect();
        if !made.is_empty() {
            let mut text = String::from("# Give each to whoever is to call with it, and delete this file.\n");
            for (id, secret) in made {
                let _ = writeln!(text, "{id} {}", secret.expose());
            }
            files.push(PlannedFile::secret(NEW_KEYS_FILE, text).merged().forgotten());
        }
        files
    }

    /// By Flowise's ids.
    pub(super) fn ids(&self) -> BTreeMap<String, String> {
        self.ids.clone()
    }

    /// The id of the only key that may call a flow.
    pub(super) fn id_of(&self, flow: &PlannedFlow) -> Option<&str> {
        self.ids.get(flow.key_id.as_deref()?).map(String::as_str)
    }
}

/// What a key is for that no key of Flowise's stands for.
fn why_any(plan: &AdoptionPlan) -> &'static str {
    if plan.placed().all(|flow| flow.settings.is_public) {
        "only pages call public flows without one"
    } else {
        "the source does not say who may call those that are not public"
    }
}

/// Digests by id; `None`: it cannot be read.
fn parsed(text: &str) -> Option<BTreeMap<String, Digest>> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Some(BTreeMap::new());
    }
    let store = keys::parse(Path::new(KEYS_FILE), text, None).ok()?;
    Some(store.keys().iter().map(|key| (String::from(&*key.id), key.digest)).collect())
}

fn item(key: &PlannedKey) -> String {
    let mut digest = String::with_capacity(64);
    key.digest.iter().for_each(|byte| _ = write!(digest, "{byte:02x}"));
    let mut text = format!("  - id: {}\n    sha256: \"{digest}\"\n", plain(&key.id));
    if let Some(chatflows) = &key.chatflows {
        let chatflows: Vec<String> = chatflows.iter().map(|name| plain(name)).collect();
        let _ = writeln!(text, "    chatflows: [{}]", chatflows.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adopt::inventory::FlowiseKey;
    use crate::adopt::plan::Placement;
    use crate::adopt::settings::FlowSettings;

    fn flow(number: u8, key: &str) -> PlannedFlow {
        PlannedFlow {
            id: Some(format!("9d2b4ae3-1f5e-4c00-9000-00000000000{number}")),
            title: String::new(),
            chatflow: format!("flow-{number}"),
            text: String::new(),
            key_id: Some(key.to_owned()),
            settings: FlowSettings::default(),
            placement: Placement::Flowise,
            inspection: Err(String::new()),
            vars: Vec::new(),
            storage: None,
            has_chats: false,
        }
    }

    #[test]
    fn a_secret_that_flowise_has_twice_is_one_key() {
        let key = |id: &str, secret: &str| FlowiseKey {
            id: id.to_owned(),
            name: "Web".to_owned(),
            secret: Secret::new(secret.to_owned()),
        };
        let plan = AdoptionPlan {
            flows: vec![flow(1, "a"), flow(2, "b"), flow(3, "c")],
            flowise: None,
            tools: Vec::new(),
            records: BTreeMap::default(),
            variables: Vec::new(),
            stores: None,
            store_names: Vec::new(),
            keys: vec![
                key("a", "one-secret-0123456789"),
                key("b", "one-secret-0123456789"),
                key("c", "two-secret-0123456789"),
            ],
            credentials: Vec::new(),
            messages: Vec::new(),
            others: BTreeMap::new(),
            notes: Vec::new(),
        };
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyPlan::of(&plan, &TargetFolder::open(folder.path()).unwrap()).unwrap();
        assert_eq!(keys.brought, ["web", "web-2"]);
        let ids: Vec<_> = plan.flows.iter().map(|flow| keys.id_of(flow)).collect();
        assert_eq!(ids, [Some("web"), Some("web"), Some("web-2")]);
        assert!(parsed(&keys.text).is_some(), "{}", keys.text);
        assert!(keys.text.contains("chatflows: [\"flow-1\", \"flow-2\"]"), "{}", keys.text);
    }
}
