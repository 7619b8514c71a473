//! What code in flows may take.

use std::time::Duration;

use super::reader::FieldReader;
use crate::config::ScriptSettings;
use crate::config::file::ScriptsSection;
use crate::config::units::{parse_size, parse_time_limit};
use crate::config::upstream::SCRIPT_MODULES;

/// With less than this the shims alone have no room.
const MEMORY: std::ops::RangeInclusive<u64> = 2 << 20..=1 << 30;
const LONGEST_COMPUTE: Duration = Duration::from_mins(1);

pub(super) fn scripts(reader: &mut FieldReader<'_>, file: &ScriptsSection) -> ScriptSettings {
    let otherwise = ScriptSettings::default();
    let size = |text: &str| match parse_size(text) {
        Ok(size) if MEMORY.contains(&size) => Ok(size),
        Ok(_) => Err("expected a size from 2MiB to 1GiB".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let compute = |text: &str| match parse_time_limit(text) {
        Ok(time) if time <= LONGEST_COMPUTE => Ok(time),
        Ok(_) => Err("expected at most 1m".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let memory = reader.parsed(&file.memory, size).and_then(|size| usize::try_from(size).ok());
    let mut modules = Vec::new();
    for node in reader.list(&file.modules).unwrap_or_default() {
        let Some(name) = reader.string(node) else { continue };
        if SCRIPT_MODULES.contains(&&*name) {
            modules.push(Box::from(name));
        } else {
            reader.refuse(node, format_args!("no such module; there are {}", SCRIPT_MODULES.join(", ")));
        }
    }
    let writes = |text: &str| match text {
        "read" => Ok(false),
        "write" => Ok(true),
        _ => Err("expected read or write".to_owned()),
    };
    ScriptSettings {
        memory: memory.unwrap_or(otherwise.memory),
        compute: reader.parsed(&file.compute, compute).unwrap_or(otherwise.compute),
        time: reader.parsed(&file.time, parse_time_limit).unwrap_or(otherwise.time),
        writes: reader.parsed(&file.sql, writes).unwrap_or(otherwise.writes),
        modules: if file.modules.0.is_some() { modules.into() } else { otherwise.modules },
    }
}
