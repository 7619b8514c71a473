//! What flows' nodes prove themselves with, by the credential's name and the field's: in the configuration, and in a file
//! of its own.

use std::collections::HashMap;
use std::path::Path;

use super::reader::{FieldReader, non_null};
use crate::config::Secret;
use crate::config::file;
use crate::config::yaml::{self, At, Named, Value, YamlNode};

/// By the credential's name, or Flowise's id of it, and the field's.
pub(crate) type CredentialMap = HashMap<String, HashMap<String, Secret>>;

const EXPECTED_SECRET: &str = "expected a text, or { file: PATH } of a file that holds it";
const EXPECTED_FILE: &str = "expected a YAML file of credentials such as `openAIApi: { openAIApiKey: ... }`";

/// Both together; what the configuration says itself counts.
pub(super) fn credentials(reader: &mut FieldReader<'_>, file: &mut file::EngineSection) -> CredentialMap {
    let in_file = non_null(std::mem::take(&mut file.credentials_file));
    let read = |content: &[u8]| std::str::from_utf8(content).ok().and_then(in_text).ok_or(EXPECTED_FILE);
    let mut credentials = reader.read_file(&in_file, read).map(|(_, found)| found).unwrap_or_default();
    for (credential, fields) in std::mem::take(&mut file.credentials).0 {
        if fields.0.is_empty() {
            reader.refuse(&credential, "expected the credential's fields, such as { openAIApiKey: ... }");
        }
        let read = |(field, node): (At<String>, YamlNode)| Some((field.value, secret(reader, &node)?));
        let fields: Vec<_> = fields.0.into_iter().filter_map(read).collect();
        credentials.entry(credential.value).or_default().extend(fields);
    }
    credentials
}

/// Those of a file; nothing in it is expanded. `None`: it is no such file.
pub(crate) fn in_text(text: &str) -> Option<CredentialMap> {
    let (found, problems) = yaml::read::<Named<Named<YamlNode>>>(Path::new(""), text);
    let field = |(name, node): (At<String>, YamlNode)| {
        let text = match node.value {
            Value::Null => String::new(),
            Value::Bool(value) => value.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::String(text) => text,
            Value::List(_) | Value::Map(_) => return None,
        };
        Some((name.value, Secret::new(text)))
    };
    let credential = |(name, fields): (At<String>, Named<YamlNode>)| {
        Some((name.value, fields.0.into_iter().map(field).collect::<Option<_>>()?))
    };
    found.filter(|_| problems.is_empty())?.0.into_iter().map(credential).collect()
}

/// A field of a credential: itself, or `{ file: ... }` where it stands.
pub(super) fn secret(reader: &mut FieldReader<'_>, node: &YamlNode) -> Option<Secret> {
    let At { value: Value::Map(entries), .. } = node else { return reader.string(node).map(Secret::new) };
    let [(name, file)] = entries.as_slice() else {
        reader.refuse(node, EXPECTED_SECRET);
        return None;
    };
    if name.value != "file" {
        reader.refuse(name, EXPECTED_SECRET);
        return None;
    }
    let text = |content: &[u8]| {
        let text = std::str::from_utf8(content).map_err(|_| "the file is not valid UTF-8")?;
        Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    };
    reader.read_file(&file::Field(Some(file.clone())), text).map(|(_, secret)| secret)
}
