//! Record managers: what was put into a database before, so that it is not put in twice. Kept in a table of Postgres as
//! Flowise keeps it, so that both understand it, or, in the place of Flowise's own file and of `MySQL`, by the engine.

mod digest;
mod hashed;
mod in_postgres;
mod own;
mod record_manager;

use std::sync::Arc;

pub(super) use self::hashed::key_of;
use self::record_manager::RecordBackend;
pub(super) use self::record_manager::{Cleanup, RecordManager, RecordNamespace};

use crate::config::Secret;
use crate::engine::compile::context::Need;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::models::connection;
use crate::engine::postgres::Postgres;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[&PostgresRecords, &OwnRecords];

const CREDENTIAL: &str = "PostgresApi";
/// Letters of a name.
const LONGEST: usize = 128;

/// What a store is told by a record manager.
#[derive(Debug)]
pub(super) enum PassageRecords {
    Kept(RecordManager),
    /// The credential, by its name, is not configured.
    Unconfigured(&'static str),
    /// Why they cannot be kept.
    Wrong(String),
}

struct PostgresRecords;

/// What all of them have.
struct RecordManagerInputs {
    table: String,
    namespace: Option<String>,
    cleanup: Option<String>,
    source: String,
}

/// What is wrong with an input, which is named first.
type WrongInput = (&'static str, String);

impl RecordManagerInputs {
    fn read(inputs: &mut Inputs<'_, '_, '_>) -> Self {
        Self {
            table: inputs.text("tableName").unwrap_or_else(|| "upsertion_records".to_owned()),
            namespace: inputs.text("namespace").map(|namespace| namespace.trim().to_owned()),
            cleanup: inputs.text("cleanup"),
            source: inputs.text("sourceIdKey").unwrap_or_else(|| "source".to_owned()),
        }
    }

    fn manager(self, backend: RecordBackend) -> Result<PassageRecords, WrongInput> {
        let Self { table, namespace, cleanup, source } = self;
        let table = table_of(&table).ok_or(("tableName", "expected letters, digits and underscores".to_owned()))?;
        if namespace.as_ref().is_some_and(|namespace| !is_namespace(namespace)) {
            return Err(("namespace", "expected letters, digits, dashes and underscores".to_owned()));
        }
        let cleanup = match cleanup.as_deref() {
            None | Some("none") => Cleanup::None,
            Some("incremental") => Cleanup::Incremental,
            Some("full") => Cleanup::Full,
            Some(_) => return Err(("cleanup", "expected none, incremental or full".to_owned())),
        };
        Ok(PassageRecords::Kept(RecordManager { backend, table, namespace, cleanup, source }))
    }
}

/// Searching needs no records: what is wrong with them is told, and refused when something is to be put in.
fn part(inputs: &mut Inputs<'_, '_, '_>, kept: Result<PassageRecords, WrongInput>) -> Part {
    let records = kept.unwrap_or_else(|(input, words)| {
        inputs.pass_over(input, format!("{words}: nothing can be put in"));
        PassageRecords::Wrong(format!("{input} of the record manager: {words}"))
    });
    Part::Own(Arc::new(records))
}

impl NodeKind for PostgresRecords {
    fn names(&self) -> &'static [&'static str] {
        &["postgresRecordManager"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let (host, database) = (inputs.text("host"), inputs.text("database"));
        let (port, ssl) = (inputs.integer("port").unwrap_or(5432), inputs.flag("ssl").unwrap_or(false));
        let more = inputs.json("additionalConfig");
        let manager = RecordManagerInputs::read(inputs);
        let user = connection::wanted(inputs, CREDENTIAL, "user");
        let password = connection::wanted(inputs, CREDENTIAL, "password");
        let kept = || {
            let host = host.ok_or(("host", "nothing is set".to_owned()))?;
            let database = database.ok_or(("database", "nothing is set".to_owned()))?;
            let port = u16::try_from(port).map_err(|_| ("port", "expected a port".to_owned()))?;
            if more.is_some_and(|more| more.as_object().is_none_or(|more| !more.is_empty())) {
                return Err(("additionalConfig", "the engine does not support this option".to_owned()));
            }
            let server = inputs.compiler.context.targets.server(&host, port, ssl, false);
            let server = server.map_err(|error| ("host", error))?;
            if let Some(host) = server.denied() {
                inputs.compiler.miss(inputs.node, Need::Network { host: host.to_owned() });
            }
            let user = user.as_ref().map_or_else(String::new, |user| user.expose().to_owned());
            let is_configured = !user.is_empty() && password.is_some();
            let password = password.unwrap_or_else(|| Secret::new(String::new()));
            let kept = manager.manager(RecordBackend::Postgres(Postgres { server, user, password, database }))?;
            Ok(if is_configured { kept } else { PassageRecords::Unconfigured(CREDENTIAL) })
        };
        let kept = kept();
        Some(part(inputs, kept))
    }
}

/// Of Flowise's own file, which is not here, and of a database that the engine does not speak to: it keeps them itself.
struct OwnRecords;

impl NodeKind for OwnRecords {
    fn names(&self) -> &'static [&'static str] {
        &["SQLiteRecordManager", "MySQLRecordManager"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        inputs.ignore(&["host", "port", "database", "additionalConfig"]);
        let kept = RecordManagerInputs::read(inputs).manager(RecordBackend::Own);
        Some(part(inputs, kept))
    }
}

fn table_of(name: &str) -> Option<String> {
    let name = name.trim().to_lowercase().split_whitespace().collect::<Vec<_>>().join("_");
    let fits = (1..=LONGEST).contains(&name.len());
    (fits && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')).then_some(name)
}

fn is_namespace(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// For tests: a record manager whose database is on this port.
#[cfg(test)]
pub(super) fn at_port(inputs: &Inputs<'_, '_, '_>, port: u16, cleanup: Cleanup) -> Arc<PassageRecords> {
    let server = inputs.compiler.context.targets.server("127.0.0.1", port, false, false).unwrap();
    let of = str::to_owned;
    let postgres = Postgres { server, user: of("u"), password: Secret::new(of("p")), database: of("d") };
    let (table, source) = (of("records"), of("source"));
    let backend = RecordBackend::Postgres(postgres);
    Arc::new(PassageRecords::Kept(RecordManager { backend, table, namespace: None, cleanup, source }))
}

/// For tests: a record manager that the engine keeps.
#[cfg(test)]
pub(super) fn kept_here(cleanup: Cleanup) -> Arc<PassageRecords> {
    let (backend, table, source) = (RecordBackend::Own, "records".to_owned(), "source".to_owned());
    Arc::new(PassageRecords::Kept(RecordManager { backend, table, namespace: None, cleanup, source }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::models::lab;

    #[test]
    fn names_are_as_flowise_takes_them() {
        assert_eq!(table_of(" My Records ").as_deref(), Some("my_records"));
        for wrong in ["", "a-b", "a\"b", &"x".repeat(129)] {
            assert_eq!(table_of(wrong), None, "{wrong}");
        }
        assert!(is_namespace("a-b_1") && !is_namespace("a b") && !is_namespace(""));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (wrong, expected) in [
            (json!({}), "host of"),
            (json!({ "host": "h" }), "database of"),
            (json!({ "port": 70_000 }), "port of"),
            (json!({ "tableName": "a-b" }), "tableName of"),
            (json!({ "namespace": "a b" }), "namespace of"),
            (json!({ "cleanup": "some" }), "cleanup of"),
            (json!({ "additionalConfig": { "schema": "x" } }), "additionalConfig of"),
        ] {
            let mut inputs = wrong;
            if !expected.starts_with("host") && !expected.starts_with("database") {
                inputs["host"] = "127.0.0.1".into();
                inputs["database"] = "d".into();
            }
            let records = lab::built(&PostgresRecords, inputs, true).unwrap().into_own::<PassageRecords>().unwrap();
            let PassageRecords::Wrong(words) = &*records else { panic!("{expected}: {records:?}") };
            assert!(words.starts_with(expected), "{words}");
        }
        let part = lab::built(&PostgresRecords, json!({ "host": "127.0.0.1", "database": "d" }), true).unwrap();
        assert!(matches!(&*part.into_own::<PassageRecords>().unwrap(), PassageRecords::Unconfigured("PostgresApi")));
        let own = lab::built(&OwnRecords, json!({ "cleanup": "some" }), false).unwrap();
        let own = own.into_own::<PassageRecords>().unwrap();
        assert!(matches!(&*own, PassageRecords::Wrong(words) if words.starts_with("cleanup of")), "{own:?}");
        let own = lab::built(&OwnRecords, json!({ "host": "h", "database": "d", "cleanup": "full" }), false).unwrap();
        assert!(matches!(&*own.into_own::<PassageRecords>().unwrap(), PassageRecords::Kept(_)));
    }
}
