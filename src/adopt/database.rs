//! What Flowise's own database holds, a file of `SQLite`.

use std::path::Path;

use serde_json::{Map, Value};

use super::encryption;
use super::inventory::{FlowiseCredential, FlowiseKey, Inventory};
use super::sqlite::{SqlRow, SqlValue, SqliteError, SqliteFile};
use crate::config::Secret;
use crate::engine::PassageRecord;
use crate::exported::{FlowRecord, MessageRecord, VariableRecord};

/// Reads a database; credentials only with the key that they are encrypted with.
///
/// # Errors
/// It is none, or damaged.
pub(super) fn read(path: &Path, key: Option<&Secret>, inventory: &mut Inventory) -> Result<(), SqliteError> {
    let database = SqliteFile::open(path)?;
    if !database.has("chat_flow") {
        return Err(SqliteError::Damaged("it has no table chat_flow, so it is not Flowise's"));
    }
    flows(&database, inventory)?;
    inventory.tools.extend(records(
        &database,
        "tool",
        &["id", "name", "description", "color", "iconSrc", "schema", "func"],
    )?);
    let columns = [
        "id",
        "name",
        "description",
        "status",
        "loaders",
        "vectorStoreConfig",
        "embeddingConfig",
        "recordManagerConfig",
    ];
    inventory.stores.extend(records(&database, "document_store", &columns)?);
    let columns = ["id", "docId", "storeId", "chunkNo", "pageContent", "metadata"];
    inventory.chunks.extend(records(&database, "document_store_file_chunk", &columns)?);
    variables(&database, inventory)?;
    keys(&database, inventory)?;
    credentials(&database, key, inventory)?;
    messages(&database, inventory)?;
    records_of_managers(&database, inventory)?;
    let others = [
        ("assistant", "assistants"),
        ("custom_template", "templates"),
        ("execution", "executions"),
        ("chat_message_feedback", "ratings"),
        ("lead", "leads"),
        ("custom_mcp_server", "MCP servers"),
        ("schedule_record", "schedules"),
    ];
    for (table, what) in others {
        let mut count = 0;
        database.rows(table, &[], |_| count += 1)?;
        if count > 0 {
            *inventory.others.entry(what).or_default() += count;
        }
    }
    let storage = path.parent().unwrap_or(Path::new("")).join("storage");
    inventory.storage.extend(Some(storage).filter(|storage| storage.is_dir()));
    Ok(())
}

fn flows(database: &SqliteFile, inventory: &mut Inventory) -> Result<(), SqliteError> {
    let columns = ["id", "name", "flowData", "apikeyid", "chatbotConfig", "apiConfig", "analytic", "followUpPrompts"];
    database.rows("chat_flow", &columns, |row| {
        let texts = texts(row);
        if let Some([id, name, flow_data, key_id, chatbot_config, api_config, analytic, follow_up_prompts]) = texts {
            let record =
                FlowRecord { id, name, flow_data, key_id, chatbot_config, api_config, analytic, follow_up_prompts };
            inventory.flows.push(record);
        }
    })
}

fn variables(database: &SqliteFile, inventory: &mut Inventory) -> Result<(), SqliteError> {
    database.rows("variable", &["name", "value", "type"], |row| {
        if let Some([name, value, kind]) = texts(row) {
            inventory.variables.push(VariableRecord { name, value, kind });
        }
    })
}

fn keys(database: &SqliteFile, inventory: &mut Inventory) -> Result<(), SqliteError> {
    database.rows("apikey", &["id", "keyName", "apiKey"], |row| {
        if let Some([Some(id), name, Some(key)]) = texts(row) {
            inventory.keys.push(FlowiseKey { id, name: name.unwrap_or_default(), secret: Secret::new(key) });
        }
    })
}

fn credentials(database: &SqliteFile, key: Option<&Secret>, inventory: &mut Inventory) -> Result<(), SqliteError> {
    let mut unread = 0;
    database.rows("credential", &["id", "name", "credentialName", "encryptedData"], |row| {
        let Some([Some(id), label, Some(kind), encrypted]) = texts(row) else { return };
        let fields = key.zip(encrypted).and_then(|(key, text)| encryption::decrypted(&text, key));
        unread += usize::from(key.is_some() && fields.is_none());
        inventory.credentials.push(FlowiseCredential { id, label: label.unwrap_or_default(), kind, fields });
    })?;
    if unread > 0 {
        inventory.notes.push(format!(
            "{unread} credentials cannot be decrypted with that key: their values are to be filled in; is it the \
             encryption.key of this Flowise, or its FLOWISE_SECRETKEY_OVERWRITE?"
        ));
    }
    Ok(())
}

fn messages(database: &SqliteFile, inventory: &mut Inventory) -> Result<(), SqliteError> {
    let columns = ["role", "chatflowid", "content", "createdDate", "chatId", "sessionId"];
    database.rows("chat_message", &columns, |row| {
        if let Some([role, flow, content, created_date, chat_id, session_id]) = texts(row) {
            inventory.messages.push(MessageRecord { role, flow, content, created_date, chat_id, session_id });
        }
    })
}

/// What record managers of `SQLite` have noted, in tables that their authors named.
fn records_of_managers(database: &SqliteFile, inventory: &mut Inventory) -> Result<(), SqliteError> {
    let columns = ["key", "namespace", "group_id", "doc_id"];
    for table in database.tables_with(&["uuid", "key", "namespace", "updated_at", "group_id"]) {
        database.rows(table, &columns, |row| {
            if let Some([Some(key), Some(namespace), group, loader]) = texts(row) {
                let space = inventory.records.entry((table.to_owned(), namespace)).or_default();
                space.push(PassageRecord { key, group, loader });
            }
        })?;
    }
    Ok(())
}

fn texts<const N: usize>(row: SqlRow) -> Option<[Option<String>; N]> {
    let texts: Vec<Option<String>> = row.into_iter().map(SqlValue::text).collect();
    texts.try_into().ok()
}

/// Rows as Flowise's export writes them.
fn records(database: &SqliteFile, table: &str, columns: &[&str]) -> Result<Vec<Value>, SqliteError> {
    let mut records = Vec::new();
    database.rows(table, columns, |row| {
        let fields = columns.iter().zip(row).map(|(column, value)| ((*column).to_owned(), json(value)));
        records.push(Value::Object(fields.collect::<Map<_, _>>()));
    })?;
    Ok(records)
}

fn json(value: SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(number) => number.into(),
        SqlValue::Real(number) => number.into(),
        SqlValue::Text(text) => text.into(),
        SqlValue::Blob(bytes) => String::from_utf8_lossy(&bytes).into(),
    }
}
