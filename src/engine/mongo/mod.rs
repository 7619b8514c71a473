//! A client of `MongoDB`: its wire protocol, as far as nodes need it.
//!
//! Each operation has a connection of its own, as in Flowise: flows ask rarely, and threads share nothing.

mod address;
mod bson;
#[cfg(test)]
mod fuzz;
mod srv;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::provider::scram::{Mechanism, Scram};
use crate::engine::provider::{RawServer, Targets};
use crate::engine::text::size::bytes_of;
use address::{MongoAddress, MongoHost};
use wire::MongoConnection;

/// Of all that one command finds, as it is held.
const MOST_BYTES: usize = if cfg!(test) { 1 << 20 } else { 192 << 20 };

/// A deployment: one server, or those of a replica set.
#[derive(Debug)]
pub(crate) struct Mongo {
    address: MongoAddress,
    targets: Arc<Targets>,
    /// What a password became, which takes a while to reckon: for the salt and the rounds beside it.
    salted: Mutex<Option<(Vec<u8>, Vec<u8>)>>,
}

impl Mongo {
    /// `url`: as `MongoDB` writes it, from a credential.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(url: &str, targets: &Arc<Targets>) -> Result<Self, String> {
        let address = MongoAddress::read(url)?;
        Ok(Self { address, targets: Arc::clone(targets), salted: Mutex::default() })
    }

    /// Runs a command; `{"$binary": ...}`, `{"$oid": ...}` and `{"$date": ...}` are what they are in extended JSON.
    pub(crate) async fn command(&self, database: &str, command: Value, run: &Run<'_>) -> Result<Value, Failure> {
        let mut connection = self.connect(run).await?;
        connection.command(database, command).await
    }

    /// What a command with a cursor finds, to its end.
    pub(crate) async fn find(
        &self,
        database: &str,
        collection: &str,
        command: Value,
        run: &Run<'_>,
    ) -> Result<Vec<Value>, Failure> {
        let mut connection = self.connect(run).await?;
        let mut answer = connection.command(database, command).await?;
        let (mut all, mut room) = (Vec::new(), MOST_BYTES);
        loop {
            let Some(cursor) = answer.get_mut("cursor") else { return Err(unreadable()) };
            let batch = ["firstBatch", "nextBatch"].iter().find_map(|name| cursor.get_mut(*name).map(Value::take));
            let Some(Value::Array(batch)) = batch else { return Err(unreadable()) };
            let is_empty = batch.is_empty();
            room = batch.iter().map(bytes_of).try_fold(room, usize::checked_sub).ok_or_else(too_long)?;
            all.extend(batch);
            let id = cursor.get("id").and_then(Value::as_i64).unwrap_or_default();
            if id == 0 || is_empty {
                return Ok(all);
            }
            run.budget().step()?;
            let more = json!({ "getMore": { "$numberLong": id.to_string() }, "collection": collection });
            answer = connection.command(database, more).await?;
        }
    }

    /// To the server that takes writes.
    async fn connect(&self, run: &Run<'_>) -> Result<MongoConnection, Failure> {
        let mut hosts = self.hosts(run).await?;
        let mut tried = 0;
        let mut failed = None;
        while let Some(host) = hosts.get(tried).cloned() {
            tried += 1;
            match self.greet(&host, run).await {
                Ok(Ok(connection)) => return Ok(connection),
                // Another one is.
                Ok(Err(primary)) => {
                    let primary = primary.and_then(|primary| MongoHost::read(&primary));
                    if let Some(primary) = primary.filter(|primary| !hosts.iter().take(tried).any(|it| it == primary)) {
                        hosts.insert(tried, primary);
                    }
                }
                Err(failure) => failed = Some(failure),
            }
            // A set is small, and one that sends us in circles has its end.
            if tried > 20 {
                break;
            }
        }
        Err(failed.unwrap_or_else(|| Failure::Unreachable("No server of the database takes writes.".to_owned())))
    }

    async fn hosts(&self, run: &Run<'_>) -> Result<Vec<MongoHost>, Failure> {
        match &self.address.service {
            None => Ok(self.address.hosts.clone()),
            Some(name) => {
                run.budget().check()?;
                srv::hosts(name).await.map_err(|problem| Failure::Unreachable(problem.to_owned()))
            }
        }
    }

    /// A connection to the host if it takes writes, else who does, if it knows.
    async fn greet(
        &self,
        MongoHost { host, port }: &MongoHost,
        run: &Run<'_>,
    ) -> Result<Result<MongoConnection, Option<String>>, Failure> {
        let address = &self.address;
        let server: RawServer = self.targets.server(host, *port, address.is_tls, true).map_err(Failure::flow)?;
        let mut connection = MongoConnection::new(server.open(run).await?);
        let mut hello = json!({ "hello": 1, "client": {
            "driver": { "name": "flowgate", "version": env!("CARGO_PKG_VERSION") },
            "os": { "type": "Linux" },
        } });
        if let (Some((user, _)), Value::Object(fields)) = (&address.user, &mut hello) {
            fields.insert("saslSupportedMechs".to_owned(), format!("{}.{user}", address.auth_source()).into());
        }
        let told = connection.command("admin", hello).await?;
        let is_primary =
            ["isWritablePrimary", "ismaster"].iter().any(|name| told.get(*name) == Some(&Value::Bool(true)));
        if !is_primary {
            return Ok(Err(told.get("primary").and_then(Value::as_str).map(str::to_owned)));
        }
        if let Some((user, password)) = &address.user {
            let known = told.get("saslSupportedMechs").and_then(Value::as_array);
            let has_newer = known.is_none_or(|known| known.iter().any(|name| name == "SCRAM-SHA-256"));
            let mechanism = match address.mechanism.as_deref() {
                Some("SCRAM-SHA-1") => Mechanism::Sha1,
                Some(_) => Mechanism::Sha256,
                None if has_newer => Mechanism::Sha256,
                None => Mechanism::Sha1,
            };
            self.authenticate(&mut connection, mechanism, user, password.expose()).await?;
        }
        Ok(Ok(connection))
    }

    async fn authenticate(
        &self,
        connection: &mut MongoConnection,
        mechanism: Mechanism,
        user: &str,
        password: &str,
    ) -> Result<(), Failure> {
        let refused = || Failure::flow("The database does not accept the credential.");
        let source = self.address.auth_source();
        let binary = |bytes: &str| bson::binary(bytes.as_bytes());
        let scram = Scram::begin(mechanism, user, password).ok_or_else(refused)?;
        let start = json!({ "saslStart": 1, "mechanism": mechanism.name(), "payload": binary(&scram.first()),
            "options": { "skipEmptyExchange": true } });
        let answer = connection.command(source, start).await?;
        let conversation = answer.get("conversationId").cloned().unwrap_or_default();
        let challenge = bson::text_of_binary(answer.get("payload")).ok_or_else(refused)?;
        let known = self.salted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let proof = scram.answer(&challenge, known).ok_or_else(refused)?;
        *self.salted.lock().unwrap_or_else(PoisonError::into_inner) = Some(proof.salted);
        let go_on = json!({ "saslContinue": 1, "conversationId": conversation, "payload": binary(&proof.last) });
        let answer = connection.command(source, go_on).await?;
        let signed = bson::text_of_binary(answer.get("payload")).ok_or_else(refused)?;
        if signed != proof.expected {
            return Err(refused());
        }
        if answer.get("done") != Some(&Value::Bool(true)) {
            let finish = json!({ "saslContinue": 1, "conversationId": conversation, "payload": binary("") });
            connection.command(source, finish).await?;
        }
        Ok(())
    }
}

fn too_long() -> Failure {
    Failure::Unreachable("The database's answer is too long.".to_owned())
}

fn unreadable() -> Failure {
    Failure::Unreachable("The database's answer cannot be read.".to_owned())
}
