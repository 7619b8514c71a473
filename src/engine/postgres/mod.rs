//! A client of Postgres: its protocol, as far as nodes need it. Queries have their parameters beside them, as texts, and
//! results are texts. Each operation has a connection of its own.

mod message;
#[cfg(test)]
mod tests;

use crate::config::Secret;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::provider::scram::{Mechanism, Scram};
use crate::engine::provider::{RawServer, ServerStream};
use message::{PostgresMessage, authentication, fields, rows_field, sent};

/// What asks for TLS, and what agrees.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const AGREED: u8 = b'S';
/// Of a result.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// A database, and who asks.
#[derive(Debug)]
pub(crate) struct Postgres {
    pub(crate) server: RawServer,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) database: String,
}

/// What a query gave: columns by name, and rows of texts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FoundRows {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

impl FoundRows {
    /// The value of a column in a row.
    pub(crate) fn value<'r>(&self, row: &'r [Option<String>], column: &str) -> Option<&'r str> {
        let at = self.columns.iter().position(|name| name == column)?;
        row.get(at)?.as_deref()
    }
}

impl Postgres {
    /// Runs the statements in one transaction; the rows of the last.
    pub(crate) async fn run(&self, statements: &[(String, Vec<String>)], run: &Run<'_>) -> Result<FoundRows, Failure> {
        let mut session = PostgresSession(self.server.open_agreed(&SSL_REQUEST, AGREED, run).await?);
        session.begin(self).await?;
        let mut rows = FoundRows::default();
        for (statement, parameters) in statements {
            run.budget().step()?;
            rows = session.query(statement, parameters).await?;
        }
        // Whether it hears that is of no matter.
        let _ = session.0.write(&sent(b'X', &[])).await;
        Ok(rows)
    }
}

/// A connection.
struct PostgresSession(ServerStream);

fn unreadable() -> Failure {
    Failure::Unreachable("The database's answer cannot be read.".to_owned())
}

impl PostgresSession {
    async fn read(&mut self) -> Result<PostgresMessage, Failure> {
        loop {
            let head = self.0.read(5).await?;
            let (kind, length) = head.split_first().ok_or_else(unreadable)?;
            let length: [u8; 4] = length.try_into().map_err(|_| unreadable())?;
            let length = (u32::from_be_bytes(length) as usize).checked_sub(4).filter(|length| *length <= MOST_BYTES);
            let body = self.0.read(length.ok_or_else(unreadable)?).await?;
            match kind {
                // What it says by the way.
                b'N' | b'S' | b'A' => {}
                b'E' => {
                    let words = fields(&body).find(|(kind, _)| *kind == b'M').map(|(_, words)| words);
                    return Err(Failure::flow(words.unwrap_or_else(|| "refused".to_owned())));
                }
                _ => return Ok(PostgresMessage { kind: *kind, body }),
            }
        }
    }

    async fn begin(&mut self, database: &Postgres) -> Result<(), Failure> {
        let Postgres { user, password, database, .. } = database;
        let settings = [("user", user.as_str()), ("database", database), ("client_encoding", "UTF8")];
        let mut body = 196_608_u32.to_be_bytes().to_vec();
        for (name, value) in settings {
            for text in [name, value] {
                body.extend_from_slice(text.replace('\0', "").as_bytes());
                body.push(0);
            }
        }
        body.push(0);
        let length = u32::try_from(body.len() + 4).map_err(|_| unreadable())?;
        self.0.write(&[&length.to_be_bytes()[..], &body].concat()).await?;
        loop {
            let message = self.read().await?;
            match message.kind {
                b'R' => self.authenticate(&message.body, user, password.expose()).await?,
                b'K' => {}
                b'Z' => return Ok(()),
                _ => return Err(unreadable()),
            }
        }
    }

    async fn authenticate(&mut self, body: &[u8], user: &str, password: &str) -> Result<(), Failure> {
        let refused = || Failure::flow("The database does not accept the credential.");
        match authentication(body).ok_or_else(unreadable)? {
            // Done.
            (0, _) => Ok(()),
            (3, _) => self.0.write(&sent(b'p', &[password.as_bytes(), b"\0"].concat())).await,
            (5, salt) => {
                let inner = format!("{:x}", md5::compute(format!("{password}{user}")));
                let outer = md5::compute([inner.as_bytes(), salt].concat());
                self.0.write(&sent(b'p', format!("md5{outer:x}\0").as_bytes())).await
            }
            (10, offered) => {
                if !offered.split(|byte| *byte == 0).any(|name| name == b"SCRAM-SHA-256") {
                    return Err(refused());
                }
                // The user was named already.
                let scram = Scram::begin(Mechanism::Sha256, "", password).ok_or_else(refused)?;
                let first = scram.first();
                let length = u32::try_from(first.len()).map_err(|_| refused())?;
                let start = [b"SCRAM-SHA-256\0", &length.to_be_bytes()[..], first.as_bytes()].concat();
                self.0.write(&sent(b'p', &start)).await?;
                let challenge = self.expected(11).await?;
                let proof = scram.answer(&challenge, None).ok_or_else(refused)?;
                self.0.write(&sent(b'p', proof.last.as_bytes())).await?;
                if self.expected(12).await? == proof.expected { Ok(()) } else { Err(refused()) }
            }
            _ => Err(Failure::flow("The engine does not authenticate as this database wants it.")),
        }
    }

    /// The text of the next step of an authentication.
    async fn expected(&mut self, step: u32) -> Result<String, Failure> {
        let message = self.read().await?;
        match authentication(&message.body).filter(|_| message.kind == b'R') {
            Some((found, text)) if found == step => String::from_utf8(text.to_vec()).map_err(|_| unreadable()),
            _ => Err(unreadable()),
        }
    }

    async fn query(&mut self, statement: &str, parameters: &[String]) -> Result<FoundRows, Failure> {
        self.0.write(&message::query(statement, parameters).ok_or_else(unreadable)?).await?;
        let mut rows = FoundRows::default();
        let mut bytes = 0;
        loop {
            let PostgresMessage { kind, body } = self.read().await?;
            match kind {
                // Parsed, bound, no rows, done, empty.
                b'1' | b'2' | b'n' | b'C' | b'I' => {}
                b'T' => rows.columns = message::columns(&body).ok_or_else(unreadable)?,
                b'D' => {
                    bytes += body.len();
                    if bytes > MOST_BYTES {
                        return Err(Failure::flow("The database's answer is too long."));
                    }
                    rows.rows.push(rows_field(&body).ok_or_else(unreadable)?);
                }
                b'Z' => return Ok(rows),
                _ => return Err(unreadable()),
            }
        }
    }
}
