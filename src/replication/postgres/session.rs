//! The conversation with the database that keeps the log: one statement at a time, each with an outcome that is known or not.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::settings::{self, Settings};
use crate::limits;
use crate::replication::LogError;

const ANSWER: Duration = Duration::from_secs(limits::LOG_ANSWER_SECONDS);

/// A connection, with the task that moves its bytes.
pub struct Dialled {
    /// The connection.
    pub client: Client,
    /// The task.
    pub task: JoinHandle<()>,
}

impl Drop for Dialled {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The result of dialling.
pub type DialFuture<'a> = Pin<Box<dyn Future<Output = Result<Dialled, String>> + 'a>>;

/// Connects to the server that takes changes.
pub trait Dial: Send {
    /// Connects. `warned` is set whenever the server says something that was not asked for.
    fn dial(&self, warned: Arc<AtomicBool>) -> DialFuture<'_>;
}

/// A value of a statement, with its type.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A kind of statement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    /// It changes something, and counts once that is acknowledged.
    Change,
    /// It changes nothing.
    Look,
    /// It changes nothing, and goes on from the answer to the one before.
    LookFurther,
}

/// The conversation. It is dialled again whenever an outcome is not known.
pub(super) struct Session {
    runtime: Runtime,
    dial: Box<dyn Dial>,
    warned: Arc<AtomicBool>,
    connection: Option<Dialled>,
}

impl Session {
    /// Creates the conversation, which is not dialled yet.
    ///
    /// # Errors
    /// As the operating system says.
    pub(super) fn new(dial: Box<dyn Dial>) -> std::io::Result<Self> {
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            dial,
            warned: Arc::default(),
            connection: None,
        })
    }

    /// Checks the settings that the promise rests on.
    ///
    /// # Errors
    /// The server does not answer, or its settings void the promise.
    pub(super) fn check_settings(&mut self) -> Result<Settings, LogError> {
        let rows = self.look(settings::READ, &[])?;
        let settings = rows.first().map(Settings::of_row).transpose();
        let settings = settings
            .map_err(|error| unknown(&shown(&error)))?
            .ok_or_else(|| unknown("no answer"))?;
        check_promise(&settings)?;
        Ok(settings)
    }

    /// Asks one statement. What it changed is acknowledged.
    pub(super) fn ask(
        &mut self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, LogError> {
        self.asked(statement, parameters, Question::Change)
    }

    /// Asks one statement whose outcome may not be replicated.
    pub(super) fn look(
        &mut self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, LogError> {
        self.asked(statement, parameters, Question::Look)
    }

    /// Asks one statement whose answer is to fit the one before: over another connection another machine may answer.
    pub(super) fn look_further(
        &mut self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, LogError> {
        self.asked(statement, parameters, Question::LookFurther)
    }

    fn asked(
        &mut self,
        statement: &str,
        parameters: &[Parameter<'_>],
        question: Question,
    ) -> Result<Vec<Row>, LogError> {
        let (connection, warned) = (self.connection.take(), &self.warned);
        let dial = &*self.dial;
        let answer = self.runtime.block_on(async {
            let connected = async {
                match connection {
                    Some(connection) if !connection.client.is_closed() => Ok(connection),
                    _ if question == Question::LookFurther => {
                        Err("the connection was lost: what the log says is asked anew".to_owned())
                    }
                    _ => dial.dial(Arc::clone(warned)).await,
                }
            };
            let slow = |_| format!("no answer within {} s", ANSWER.as_secs());
            let connection = timeout(ANSWER, connected).await.map_err(slow)??;
            warned.store(false, Ordering::SeqCst);
            let client = &connection.client;
            let asked = client.query_typed(statement, parameters);
            let answered = async {
                if question != Question::Change {
                    return Ok((asked.await?, None));
                }
                // Sent together. The second is read after the first has been committed, and has waited for the standby.
                let (rows, checked) = tokio::join!(asked, client.query_typed(settings::READ, &[]));
                let (rows, checked) = (rows?, checked?);
                let settings = checked.first().map(Settings::of_row).transpose()?;
                Ok::<_, tokio_postgres::Error>((rows, settings))
            };
            let answered = timeout(ANSWER, answered).await.map_err(slow)?;
            let answered = answered.map_err(|error| shown(&error))?;
            Ok::<_, String>((answered, connection))
        });
        // Otherwise the connection is gone, with what it may still be doing.
        let ((rows, settings), connection) = answer.map_err(LogError::Unknown)?;
        if let Some(settings) = settings {
            check_promise(&settings)?;
        }
        if question == Question::Change && self.warned.load(Ordering::SeqCst) {
            return Err(unknown(
                "the server answered with a warning: the wait for its standby may have been cancelled",
            ));
        }
        self.connection = Some(connection);
        Ok(rows)
    }
}

/// Checks that what was answered under these settings is durable on two machines.
fn check_promise(settings: &Settings) -> Result<(), LogError> {
    settings.check().map_err(|why| match settings.may_pass() {
        true => LogError::Unknown(why),
        false => LogError::Unsafe(why),
    })
}

fn unknown(what: &str) -> LogError {
    LogError::Unknown(what.to_owned())
}

/// Returns the text of an error without what was sent.
pub(super) fn shown(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!(
            "{}: {} ({})",
            said.severity(),
            said.message(),
            said.code().code()
        ),
        None => error.to_string(),
    }
}
