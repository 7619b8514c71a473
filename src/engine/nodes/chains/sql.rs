//! The chain that asks a database: the model writes a query, and an answer of what the query gives. The query is the
//! model's, so it runs in a transaction that can change nothing.

mod tables;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use self::tables::{ChosenTables, Samples};
use crate::engine::compile::context::Need;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::node::{Chain, Reply};
use crate::engine::contract::run::Run;
use crate::engine::nodes::moderation::moderations;
use crate::engine::nodes::prompts;
use crate::engine::postgres::address::PostgresAddress;
use crate::engine::postgres::values;
use crate::engine::postgres::{FoundRows, Postgres, PostgresError, StatementBounds};
use crate::engine::text::javascript;
use crate::engine::text::template::Template;

/// The words of `LangChain` for this database (`chains/sql_db`), where the node says nothing.
const PROMPT: &str = include_str!("words/sql.txt");
/// Ends what a model would make up of a query's result.
const STOP: &[&str] = &["\nSQLResult:"];
/// Of what a model writes.
const BOUNDS: StatementBounds = StatementBounds { rows: 1000, time: Duration::from_secs(30), writes: false };
/// The statements that a model may ask for, by their first words.
const READING: &[&str] = &["select", "with", "values", "table", "show", "explain"];
/// Those that change something, or that somebody else would have to go on with.
const OTHERS: &str = "abort alter analyze begin call checkpoint close cluster comment commit copy create deallocate \
                      declare delete discard do drop end execute fetch grant import insert listen load lock merge move \
                      notify prepare reassign refresh reindex release reset revoke rollback savepoint security set start \
                      truncate unlisten update vacuum";
/// Functions whose effect is outside of any transaction, or reads what is no table: by how their names begin.
const REACHING: &[&str] = &[
    "pg_terminate_",
    "pg_cancel_",
    "pg_read_",
    "pg_ls_",
    "pg_stat_file",
    "pg_reload_",
    "pg_rotate_",
    "dblink",
    "lo_import",
    "lo_export",
    "pg_advisory_",
    "pg_backup_",
    "pg_create_",
    "pg_drop_",
    "pg_execute_",
    "pg_file_",
    "pg_import_",
    "pg_log_",
    "pg_logical_",
    "pg_notify",
    "pg_promote",
    "pg_replication_",
    "pg_sleep",
    "pg_start_backup",
    "pg_stat_reset",
    "pg_stop_backup",
    "pg_switch_",
    "pg_wal_",
    "set_config",
    // They run a query that is a text, of which nothing here is seen.
    "query_to_xml",
    "ts_stat",
    "ts_rewrite",
    "crosstab",
    "connectby",
    "xpath_table",
    // Of extensions that ask other servers.
    "http_get",
    "http_post",
    "http_put",
    "http_patch",
    "http_delete",
    "http_head",
    "aws_s3",
    "aws_lambda",
];
/// What the database says where the transaction is in the way, or the time.
const OURS: &[&str] = &["25006", "57014"];

/// What Flowise tells of a query that fails.
const NOTHING: &str = "\"\"";

/// The node `sqlDatabaseChain`.
pub(super) struct SqlDatabaseChain;

impl NodeKind for SqlDatabaseChain {
    fn names(&self) -> &'static [&'static str] {
        &["sqlDatabaseChain"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model");
        let moderations = moderations(inputs);
        let tables = ChosenTables::read(inputs);
        let samples = Samples::read(inputs);
        let top = match inputs.text("topK") {
            Some(top) => top,
            // What the editor leaves empty is told empty.
            None if inputs.node.data.inputs.get("topK").is_some_and(Value::is_string) => String::new(),
            None => "5".to_owned(),
        };
        let prompt = inputs.text("customPrompt").unwrap_or_else(|| PROMPT.trim_end().to_owned());
        let known = ["input", "top_k", "dialect", "table_info"];
        let prompt = prompts::known_places(inputs, "customPrompt", &prompt, &known);
        let database = database(inputs);
        let (model, tables, samples) = (model?, tables?, samples?);
        let (prompt, database) = (prompt?, database?);
        Some(moderations.before(AsksDatabase { model, database, tables, samples, top, prompt }))
    }
}

/// The database, if it is one that the engine speaks to.
fn database(inputs: &mut Inputs<'_, '_, '_>) -> Option<Postgres> {
    let kind = inputs.text("database").unwrap_or_else(|| "sqlite".to_owned());
    // Whoever has not said where it is may yet say which it is.
    let url = inputs.required_text("url")?;
    if kind != "postgres" {
        let message = format!(
            "the engine speaks to postgres, and not to {kind}: an API before that database, asked by HTTP, or an MCP server of it answers from it"
        );
        inputs.refuse("database", message);
        return None;
    }
    if inputs.refuse_settled("url") {
        return None;
    }
    let PostgresAddress { host, port, user, password, database, is_tls } =
        PostgresAddress::read(&url).map_err(|error| inputs.refuse("url", error)).ok()?;
    let server = inputs.compiler.context.targets.server(&host, port, is_tls, false);
    let server = server.map_err(|error| inputs.refuse("url", error)).ok()?;
    if let Some(host) = server.denied() {
        inputs.compiler.miss(inputs.node, Need::Network { host: host.to_owned() });
    }
    Some(Postgres { server, user, password, database })
}

#[derive(Debug)]
struct AsksDatabase {
    model: Arc<dyn ChatModel>,
    database: Postgres,
    tables: ChosenTables,
    samples: Samples,
    /// Rows that the model is told to ask for.
    top: String,
    prompt: Template,
}

impl Chain for AsksDatabase {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let mut connection = self.database.connect(run).await?;
            let info = self.tables.told(&mut connection, &self.samples, run).await?;
            // Nobody waits for a model with a connection in his hand.
            connection.close().await;
            let asked = format!("{question}\nSQLQuery:");
            let prompt = [Message::user(self.prompt(&asked, &info, run)?)];
            let query = run.ask(&*self.model, ModelRequest::of(&prompt).ending_before(STOP)).await?.text;
            let result = self.result(&query, run).await?;
            let asked = format!("{asked}{query}\nSQLResult: {result}\nAnswer:");
            let prompt = [Message::user(self.prompt(&asked, &info, run)?)];
            let tokens = is_last.then_some(run.sink);
            let ask = ModelRequest::of(&prompt).ending_before(STOP).telling(tokens);
            Ok(Reply::text(run.ask(&*self.model, ask).await?.text))
        })
    }
}

impl AsksDatabase {
    fn prompt(&self, input: &str, info: &str, run: &Run<'_>) -> Result<String, Failure> {
        let values = [("input", input), ("top_k", &self.top), ("dialect", "postgres"), ("table_info", info)];
        let values = values.map(|(name, value)| (name.to_owned(), Value::from(value)));
        self.prompt.render_for(&Map::from_iter(values), run).map_err(Failure::flow)
    }

    /// What the model is told of its query, in JSON. Of one that the database does not take it is told nothing, as in
    /// Flowise; why the engine did not let it run, it is told.
    async fn result(&self, query: &str, run: &Run<'_>) -> Result<String, Failure> {
        run.budget().tool_call()?;
        let word = first_word(query).to_lowercase();
        if OTHERS.split_whitespace().any(|other| other == word) {
            let message = format!("{} was not run: only queries that read are", word.to_uppercase());
            return Ok(Value::from(message).to_string());
        }
        if !READING.contains(&&*word) {
            return Ok(NOTHING.to_owned());
        }
        if reaches_out(query) {
            let message = "the query was not run: it calls a function that does more than read tables";
            return Ok(Value::from(message).to_string());
        }
        let mut connection = self.database.connect(run).await?;
        let found = connection.query(query, &[], BOUNDS, run).await;
        connection.close().await;
        let told = match found {
            Ok(found) if found.is_cut => Value::from(format!("more than {} rows", BOUNDS.rows)).to_string(),
            Ok(found) => javascript::json(&rows(&found)),
            Err(PostgresError::Refused { code, words }) if OURS.contains(&&*code) => {
                Value::from(run.told(&Failure::flow(words))).to_string()
            }
            Err(PostgresError::Refused { .. }) => NOTHING.to_owned(),
            Err(PostgresError::Failed(failure)) => return Err(failure),
        };
        run.budget().hold(told.len())?;
        Ok(told)
    }
}

/// Whether a word of it names such a function, or may under another spelling.
fn reaches_out(query: &str) -> bool {
    let query = query.to_lowercase();
    let mut words = query.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    query.contains("u&\"") || words.any(|word| REACHING.iter().any(|function| word.starts_with(function)))
}

/// The word that a statement begins with; nothing where it begins with none.
fn first_word(mut query: &str) -> &str {
    loop {
        query = query.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '(' || letter == ';');
        query = if let Some(comment) = query.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = query.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            break;
        };
    }
    query.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default()
}

/// Rows as objects.
fn rows(found: &FoundRows) -> Value {
    let row = |row: &Vec<Option<String>>| {
        let columns = found.columns.iter().zip(&found.kinds).zip(row);
        let field = |((name, kind), text): ((&String, &u32), &Option<String>)| {
            (name.clone(), text.as_ref().map_or(Value::Null, |text| values::value(*kind, text)))
        };
        Value::Object(columns.map(field).collect())
    };
    found.rows.iter().map(row).collect()
}
