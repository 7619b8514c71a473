//! What an operator gives a flow: credentials, document stores, custom tools, servers of tools, files.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::each_field;
use crate::config::{McpServer, Secret};
use crate::engine::DocumentStores;
use crate::engine::compile::context::{CompileContext, Credentials, Missing, Need};
use crate::engine::compile::unset::UnsetField;
use crate::engine::provider::Targets;
use crate::telemetry::metrics::Metrics;

const PDF: &[u8] = include_bytes!("../../../../tests/fuzz/corpus/pdf/h1.pdf");

#[derive(Debug, Default)]
pub(super) struct Given {
    credentials: Credentials,
    servers: BTreeMap<String, McpServer>,
    stores: Vec<String>,
    tools: Vec<String>,
    /// Names of flows that the flow runs.
    pub(super) flows: Vec<String>,
    files: Vec<(String, String)>,
    /// What was empty, by node.
    settings: Vec<(String, UnsetField)>,
}

impl Given {
    /// Gives what is missing; whether any of it was not given before.
    pub(super) fn give(&mut self, missing: &[Missing]) -> bool {
        let before = format!("{self:?}");
        for Missing { node, need, .. } in missing {
            match need {
                Need::Credential { name, field } => {
                    let fields: &mut HashMap<_, _> = self.credentials.entry(name.clone()).or_default();
                    fields.insert(field.clone(), Secret::new(secret(field)));
                }
                Need::McpServer { name, .. } => {
                    let server = McpServer::Remote { url: "https://mcp.example/mcp".to_owned(), headers: Vec::new() };
                    self.servers.insert(name.clone(), server);
                }
                Need::Store { name: Some(name) } if !self.stores.contains(name) => self.stores.push(name.clone()),
                Need::Tool { id } if !self.tools.contains(id) => self.tools.push(id.clone()),
                Need::Flow { name } if !self.flows.contains(name) => self.flows.push(name.clone()),
                Need::File { field, .. } => {
                    let file = (node.clone(), field.input.clone());
                    if !self.files.contains(&file) {
                        self.files.push(file);
                    }
                }
                _ => {}
            }
        }
        before != format!("{self:?}")
    }

    /// Fills in what is empty; whether there was something that was not filled in before.
    pub(super) fn fill_in(&mut self, missing: &[Missing]) -> bool {
        let before = self.settings.len();
        for Missing { node, need, .. } in missing {
            if let Need::Setting(field) = need {
                let setting = (node.clone(), field.clone());
                if !self.settings.contains(&setting) {
                    self.settings.push(setting);
                }
            }
        }
        self.settings.len() > before
    }

    /// What was filled in, as it is told.
    pub(super) fn filled(&self) -> String {
        self.settings.iter().map(|(_, field)| field.to_string()).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn context(&self, stage: SocketAddr) -> Arc<CompileContext> {
        let everywhere = ["0.0.0.0/0", "::/0"].map(|network| network.parse().unwrap());
        let targets = Targets::alone("stage", &Metrics::new().unwrap()).allowing(&everywhere).staged(stage);
        let context = CompileContext::new(self.credentials.clone(), targets).with_mcp_servers(self.servers.clone());
        Arc::new(context.with_stores(self.stores()))
    }

    /// As Flowise's export of everything has them.
    fn stores(&self) -> Arc<DocumentStores> {
        let embeddings =
            json!({ "name": "openAIEmbeddings", "config": { "modelName": "e", "basepath": "http://e.example/v1" } });
        let store = |name: &String| {
            json!({ "id": name, "name": name, "status": "UPSERTED", "loaders": "[]", "whereUsed": "[]",
            "embeddingConfig": embeddings.to_string(), "vectorStoreConfig": null, "recordManagerConfig": null })
        };
        let chunk = |name: &String| {
            json!({ "id": format!("{name}-1"), "docId": "d", "storeId": name, "chunkNo": 1,
            "pageContent": "A passage of a store.", "metadata": "{}" })
        };
        let tool = |id: &String| {
            json!({ "id": id, "name": format!("tool_{}", id.len()), "description": "d", "schema": "[]",
            "func": "return 'done'" })
        };
        let export = json!({
            "DocumentStore": self.stores.iter().map(store).collect::<Vec<_>>(),
            "DocumentStoreFileChunk": self.stores.iter().map(chunk).collect::<Vec<_>>(),
            "Tool": self.tools.iter().map(tool).collect::<Vec<_>>(),
        });
        DocumentStores::read(&[(PathBuf::from("all.json"), export.to_string())]).unwrap()
    }

    /// The export with files in it, and with servers of tools elsewhere in the place of programs.
    pub(super) fn put_into(&self, export: &mut Value) {
        for node in export["nodes"].as_array_mut().into_iter().flatten() {
            let id = node["id"].as_str().unwrap_or_default().to_owned();
            for (_, input) in self.files.iter().filter(|(owner, _)| *owner == id) {
                node["data"]["inputs"][input] = file(input).into();
            }
        }
        self.settings.iter().for_each(|(node, field)| fill(export, node, field));
        if self.servers.is_empty() {
            return;
        }
        each_field(export, &mut |name, value| {
            let is_program = |text: &Value| {
                text.as_str().is_some_and(|text| text.contains("command")) || text.get("command").is_some()
            };
            if name == "mcpServerConfig" && is_program(value) {
                *value = r#"{"url":"https://mcp.example/mcp"}"#.into();
            }
        });
    }
}

/// Puts something into a setting of a node, or of what stands in its inputs.
fn fill(export: &mut Value, node: &str, UnsetField { input, inside, .. }: &UnsetField) {
    if input == "document" {
        // Documents in the place of an index on a disk.
        let text = json!({ "id": "filled_in", "data": { "id": "filled_in", "name": "plainText", "label": "Filled in",
            "category": "Document Loaders", "inputs": { "text": "A text of the stage." }, "outputs": {} } });
        export["nodes"].as_array_mut().into_iter().for_each(|nodes| nodes.push(text.clone()));
        let edge = json!({ "source": "filled_in", "target": node });
        export["edges"].as_array_mut().into_iter().for_each(|edges| edges.push(edge.clone()));
    }
    let nodes = export["nodes"].as_array_mut().into_iter().flatten();
    for inputs in nodes.filter(|one| one["id"] == node).map(|one| &mut one["data"]["inputs"]) {
        if inside.is_empty() && input == "url" && inputs.get("database").is_some() {
            // With the address of a database comes which it is.
            inputs["database"] = "postgres".into();
            inputs[input] = "postgres://u:p@db.example/d".into();
            continue;
        }
        if inside.is_empty() {
            inputs[input] = setting(input);
            continue;
        }
        each_field(inputs, &mut |name, value| {
            let is_its = value
                .as_object()
                .is_some_and(|fields| fields.contains_key(input) || fields.values().any(|own| own == inside));
            if name.ends_with("Config") && is_its {
                value[input] = setting(input);
            }
        });
    }
}

fn setting(input: &str) -> Value {
    let lower = input.to_ascii_lowercase();
    if lower == "document" {
        return json!(["{{filled_in.data.instance}}"]);
    }
    if lower.contains("openapi") || lower.contains("yaml") {
        return format!("data:text/yaml;base64,{},filename:api.yaml", STANDARD.encode(OPEN_API)).into();
    }
    if lower.ends_with("file") {
        return file(input).into();
    }
    if lower.contains("url") || lower.contains("host") || lower.contains("base") {
        return "https://api.example.com/v1".into();
    }
    "filled_in".into()
}

const OPEN_API: &str = "openapi: 3.0.0\ninfo: { title: t, version: '1' }\nservers: [{ url: https://api.example.com }]\n\
                        paths: { /a: { get: { operationId: a, summary: Gets a } } }\n";

/// A value for a field of a credential.
fn secret(field: &str) -> String {
    let lower = field.to_ascii_lowercase();
    let text = if lower.starts_with("mongo") {
        "mongodb://mongo.example:27017/db"
    } else if lower == "redisurl" {
        "redis://redis.example:6379"
    } else if lower.ends_with("host") {
        "redis.example"
    } else if lower.ends_with("port") {
        "6379"
    } else if lower.ends_with("tokenurl") {
        "https://service.example/token"
    } else if lower.contains("url") || lower.contains("endpoint") {
        "https://service.example"
    } else {
        "stage-secret"
    };
    text.to_owned()
}

fn file(input: &str) -> String {
    let lower = input.to_ascii_lowercase();
    let (name, bytes) = if lower.contains("pdf") {
        ("a.pdf", PDF.to_vec())
    } else if lower.contains("docx") || lower.contains("word") {
        ("a.docx", include_bytes!("../../../../tests/flowise/engine/files/sample.docx").to_vec())
    } else if lower.contains("excel") {
        ("a.xlsx", include_bytes!("../../../../tests/flowise/engine/files/sample.xlsx").to_vec())
    } else if lower.contains("powerpoint") {
        ("a.pptx", include_bytes!("../../../../tests/flowise/engine/files/deck.pptx").to_vec())
    } else if lower.contains("csv") {
        ("a.csv", b"name,age\nAda,36\n".to_vec())
    } else if lower.contains("jsonlines") {
        ("a.jsonl", b"{\"text\":\"A line.\"}\n".to_vec())
    } else if lower.contains("json") {
        ("a.json", b"[{\"text\":\"An item.\"}]".to_vec())
    } else {
        ("a.txt", b"A text of the stage.".to_vec())
    };
    format!("data:text/plain;base64,{},filename:{name}", STANDARD.encode(bytes))
}
