//! Statements that scripts send to databases: to whatever server they name, as far as it may be reached.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::{ScriptSettings, Secret};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::postgres::address::PostgresAddress;
use crate::engine::postgres::{FoundRows, Postgres, StatementBounds, values};
use crate::engine::provider::Targets;
use crate::wire::json::read_str;

/// Of one statement.
const MOST_ROWS: u32 = 10_000;
/// What would have to last longer than one statement.
const OF_TRANSACTIONS: &[&str] = &["begin", "start", "commit", "end", "rollback", "savepoint", "release", "abort"];

/// What a script says of a statement. It holds a password, so nothing shows it.
#[derive(Deserialize)]
struct WantedRows {
    url: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    #[serde(default)]
    ssl: bool,
    statement: String,
    values: Vec<Option<String>>,
}

/// What the statement gives, as JSON.
pub(super) async fn asked(
    targets: &Targets,
    settings: &ScriptSettings,
    head: &str,
    run: &Run<'_>,
) -> Result<(String, Vec<u8>), Failure> {
    // What is wrong with it would be told with what stands in it.
    let wanted: WantedRows = read_str(head).map_err(|_| Failure::flow("the database's settings cannot be read"))?;
    if settings.writes && is_of_transaction(&wanted.statement) {
        return Err(Failure::flow("each statement is a transaction of its own; there are none over several"));
    }
    let (postgres, statement, parameters) = wanted.read(targets)?;
    let parameters: Vec<Option<&str>> = parameters.iter().map(Option::as_deref).collect();
    let bounds = StatementBounds { rows: MOST_ROWS, time: settings.time, writes: settings.writes };
    let mut connection = postgres.connect(run).await?;
    let found = connection.query(&statement, &parameters, bounds, run).await;
    connection.close().await;
    let found = found?;
    if found.is_cut {
        return Err(Failure::flow(format!("the statement gives more than {MOST_ROWS} rows")));
    }
    let told = told(&found);
    if told.len() > settings.memory {
        return Err(Failure::flow("the answer is longer than what a script may hold"));
    }
    run.budget().has_room(told.len())?;
    Ok((told, Vec::new()))
}

impl WantedRows {
    fn read(self, targets: &Targets) -> Result<(Postgres, String, Vec<Option<String>>), Failure> {
        let address = match &self.url {
            Some(url) => Some(PostgresAddress::read(url).map_err(Failure::flow)?),
            None => None,
        };
        // What the address says counts more, as with the packages.
        let of = |known: Option<&str>, own: Option<String>| {
            known.filter(|known| !known.is_empty()).map_or_else(|| own.unwrap_or_default(), str::to_owned)
        };
        let known = address.as_ref();
        let host = of(known.map(|address| address.host.as_str()), self.host);
        let host = if host.is_empty() { "localhost".to_owned() } else { host };
        let port = known.map(|address| address.port).or(self.port).unwrap_or(5432);
        let is_tls = self.ssl || known.is_some_and(|address| address.is_tls);
        let user = of(known.map(|address| address.user.as_str()), self.user);
        let database = of(known.map(|address| address.database.as_str()), self.database);
        let postgres = Postgres {
            server: targets.server(&host, port, is_tls, false).map_err(Failure::flow)?,
            password: Secret::new(of(known.map(|address| address.password.expose()), self.password)),
            database: if database.is_empty() { user.clone() } else { database },
            user,
        };
        Ok((postgres, self.statement, self.values))
    }
}

fn is_of_transaction(statement: &str) -> bool {
    let end = |letter: char| !letter.is_ascii_alphabetic();
    let word = statement.trim_start().split(end).next().unwrap_or_default().to_lowercase();
    OF_TRANSACTIONS.contains(&&*word)
}

fn told(found: &FoundRows) -> String {
    let columns: Vec<Value> = found.columns.iter().zip(&found.kinds).map(|(name, kind)| json!([name, kind])).collect();
    let cell =
        |(kind, text): (&u32, &Option<String>)| text.as_ref().map_or(Value::Null, |text| values::value(*kind, text));
    let row = |row: &Vec<Option<String>>| found.kinds.iter().zip(row).map(cell).collect::<Value>();
    let rows: Vec<Value> = found.rows.iter().map(row).collect();
    json!({ "columns": columns, "rows": rows, "tag": found.tag }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::postgres::testing::{StubRows, stub};
    use crate::engine::testing::within;
    use crate::telemetry::metrics::Metrics;

    /// What a statement gives, and what the database hears.
    fn sent(statement: &str, writes: bool, allowed: &str) -> (Result<String, Failure>, Vec<String>) {
        let row = vec![Some("1"), Some("2026-01-02 03:04:05+00"), None];
        let (port, heard) =
            stub(vec![("FROM t", StubRows::Found(vec![("n", 23), ("at", 1184), ("x", 25)], vec![row]))]);
        let targets = Targets::alone("local", &Metrics::new().unwrap()).allowing(&[allowed.parse().unwrap()]);
        let question =
            json!({ "host": "127.0.0.1", "port": port, "user": "u", "statement": statement, "values": ["v", null] });
        let settings = ScriptSettings { writes, ..ScriptSettings::default() };
        let told = within(&json!({ "question": "q" }), async |run| {
            asked(&targets, &settings, &question.to_string(), run).await.map(|(told, _)| told)
        });
        (told, heard.try_iter().collect())
    }

    #[test]
    fn a_statement_is_a_transaction_of_its_own() {
        let (told, heard) = sent("SELECT * FROM t WHERE a = $1", false, "127.0.0.0/8");
        let rows = r#"{"columns":[["n",23],["at",1184],["x",25]],"rows":[[1,"2026-01-02T03:04:05.000Z",null]],"tag":"SELECT 1"}"#;
        assert_eq!(told.unwrap(), rows);
        let around =
            ["BEGIN READ ONLY", "SET LOCAL statement_timeout = 30000", "SELECT * FROM t WHERE a = $1 v", "ROLLBACK"];
        assert_eq!(heard, around);
        let (_, heard) = sent("UPDATE t", true, "127.0.0.0/8");
        assert_eq!([heard[0].as_str(), &heard[3]], ["BEGIN READ WRITE", "COMMIT"]);
        let (told, heard) = sent("begin", true, "127.0.0.0/8");
        assert!(told.unwrap_err().to_string().contains("there are none over several") && heard.is_empty());
    }

    #[test]
    fn only_servers_that_may_be_reached_are() {
        let (told, heard) = sent("SELECT * FROM t", false, "10.0.0.0/8");
        assert!(told.unwrap_err().to_string().contains("engine.allow_networks") && heard.is_empty());
    }

    #[test]
    fn settings_of_both_packages_are_read() {
        let targets = Targets::alone("local", &Metrics::new().unwrap());
        let read = |settings: Value| {
            let wanted: WantedRows = serde_json::from_value(settings).unwrap();
            let (postgres, ..) = wanted.read(&targets).unwrap();
            (postgres.user, postgres.password.expose().to_owned(), postgres.database)
        };
        let of = |user: &str, password: &str, database: &str| (user.into(), password.into(), database.into());
        let url = json!({ "url": "postgres://u:p@h/d", "database": "other", "statement": "", "values": [] });
        assert_eq!(read(url), of("u", "p", "d"));
        let fields = json!({ "host": "h", "port": 1, "user": "me", "statement": "", "values": [null] });
        assert_eq!(read(fields), of("me", "", "me"));
        assert!(is_of_transaction(" BEGIN;") && !is_of_transaction("SELECT 1") && !is_of_transaction("beginning"));
    }
}
