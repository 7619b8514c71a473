//! A connection: how it begins, and what is asked over it.

use super::message::{self, PostgresMessage, authentication, fields, rows_field, sent};
use super::{FoundRows, MOST_BYTES, Postgres, PostgresError};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::provider::ServerStream;
use crate::engine::provider::scram::{Mechanism, Scram};

/// What asks for TLS, and what agrees.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const AGREED: u8 = b'S';

/// What a value takes beside its text.
const VALUE: usize = size_of::<Option<String>>();

/// See the module.
pub(super) struct PostgresSession(ServerStream);

fn unreadable() -> Failure {
    Failure::Unreachable("The database's answer cannot be read.".to_owned())
}

impl PostgresSession {
    pub(super) async fn open(database: &Postgres, run: &Run<'_>) -> Result<Self, Failure> {
        let mut session = Self(database.server.open_agreed(&SSL_REQUEST, AGREED, run).await?);
        session.begin(database).await?;
        Ok(session)
    }

    /// Whether it hears that is of no matter.
    pub(super) async fn close(mut self) {
        let _ = self.0.write(&sent(b'X', &[])).await;
    }

    async fn read(&mut self) -> Result<PostgresMessage, PostgresError> {
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
                    let said = |kind: u8| fields(&body).find(|(known, _)| *known == kind).map(|(_, words)| words);
                    let words = said(b'M').unwrap_or_else(|| "refused".to_owned());
                    return Err(PostgresError::Refused { code: said(b'C').unwrap_or_default(), words });
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

    /// At most so many rows; 0: all.
    pub(super) async fn query(
        &mut self,
        statement: &str,
        parameters: &[Option<&str>],
        most: u32,
    ) -> Result<FoundRows, PostgresError> {
        self.0.write(&message::query(statement, parameters, most).ok_or_else(unreadable)?).await?;
        let mut rows = FoundRows::default();
        let mut bytes = 0;
        let mut refused = None;
        loop {
            let PostgresMessage { kind, body } = match self.read().await {
                Ok(message) => message,
                // It is ready for the next once it has said so.
                Err(error @ PostgresError::Refused { .. }) => {
                    refused = Some(error);
                    continue;
                }
                // One that is thrown out hears nothing more.
                Err(error) => return Err(refused.unwrap_or(error)),
            };
            match kind {
                // Parsed, bound, no rows, empty.
                b'1' | b'2' | b'n' | b'I' => {}
                b's' => rows.is_cut = true,
                b'C' => rows.tag = String::from_utf8_lossy(body.strip_suffix(b"\0").unwrap_or(&body)).into_owned(),
                b'T' => (rows.columns, rows.kinds) = message::columns(&body).ok_or_else(unreadable)?,
                b'D' => {
                    let row = rows_field(&body).ok_or_else(unreadable)?;
                    // A row of nothing takes its place as well.
                    bytes += body.len() + VALUE * (row.len() + 1);
                    if bytes > MOST_BYTES {
                        return Err(Failure::flow("The database's answer is too long.").into());
                    }
                    rows.rows.push(row);
                }
                b'Z' => return refused.map_or(Ok(rows), Err),
                _ => return Err(unreadable().into()),
            }
        }
    }
}
