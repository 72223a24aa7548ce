//! A connection, with the two calls that change the projection.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, FromRedisValue, Pipeline, RedisResult, Value};

use super::discovery::{self, Node};
use super::failure;
use super::keys::WATERMARK;
use super::options::RedisOptions;
use super::script::{Script, ScriptCall};
use crate::reconcile::{SinkError, Watermark};
use crate::types::Lsn;

/// An open connection.
pub(super) struct Link {
    connection: MultiplexedConnection,
    script: Script,
    node: Option<Node>,
}

/// The prefix of the token that remains where an operator had the projection emptied.
pub(super) const REQUESTED: &str = "requested-";

/// The contents of the watermark's key.
#[derive(Debug, Default)]
pub(super) struct ProjectionState {
    pub(super) watermark: Watermark,
    /// The token of whoever fills the projection.
    pub(super) rebuilding: Option<String>,
    /// A call has begun to write and did not end.
    pub(super) writing: Option<String>,
}

impl ProjectionState {
    /// Whether a person had the projection emptied, and nobody has begun to fill it since.
    pub(super) fn is_emptied_on_request(&self) -> bool {
        let token = self.rebuilding.as_deref();
        token.is_some_and(|token| token.starts_with(REQUESTED))
    }

    /// The watermark, where what is there can be followed up.
    pub(super) fn trusted(&self) -> Watermark {
        if self.rebuilding.is_some() || self.writing.is_some() {
            Watermark::ZERO
        } else {
            self.watermark
        }
    }
}

impl Link {
    /// Connects, to the node that has the keys.
    ///
    /// # Errors
    /// Says why not.
    pub(super) async fn open(options: &RedisOptions) -> Result<Self, SinkError> {
        let (connection, node) = discovery::connect(options).await?;
        Ok(Self {
            connection,
            script: Script::new(),
            node,
        })
    }

    /// The node to which it leads, where that had to be found.
    pub(super) fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// Makes sure that the calls can be made.
    pub(super) async fn prepare(&mut self) -> Result<(), SinkError> {
        self.script.load(&mut self.connection).await
    }

    /// Warns where Redis may throw away what nobody told it to.
    pub(super) async fn warn_of_eviction(&mut self) {
        let info: RedisResult<String> = self.query(redis::cmd("INFO").arg("memory")).await;
        if info.is_ok_and(|info| info.contains("maxmemory_policy:allkeys")) {
            tracing::warn!(
                "redis: its maxmemory-policy throws keys away when it is full, and the projection has \
                 to be filled again then; noeviction is the one to use"
            );
        }
    }

    /// One command.
    pub(super) async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        command.query_async(&mut self.connection).await
    }

    /// One command that must work.
    pub(super) async fn run<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, SinkError> {
        let answer = self.query(command).await;
        answer.map_err(|error| failure::of(&error))
    }

    /// Several commands that must all work, sent together.
    pub(super) async fn run_all<T: FromRedisValue>(
        &mut self,
        commands: &Pipeline,
    ) -> Result<T, SinkError> {
        let answers = commands.query_async(&mut self.connection).await;
        answers.map_err(|error| failure::of(&error))
    }

    /// Several commands that must all work, between which Redis runs no other. `MULTI` is written out, because the
    /// client's own transactions count wrong when Redis refuses that very command.
    pub(super) async fn run_transaction<T: FromRedisValue>(
        &mut self,
        commands: &[Cmd],
    ) -> Result<T, SinkError> {
        let mut transaction = redis::pipe();
        transaction.cmd("MULTI").ignore();
        for command in commands {
            transaction.add_command(command.clone()).ignore();
        }
        transaction.cmd("EXEC");
        let (answers,) = self.run_all(&transaction).await?;
        Ok(answers)
    }

    /// One of the calls; the words of its answer. They are `broke` and the reason where it ended half
    /// way.
    pub(super) async fn call(
        &mut self,
        call: ScriptCall,
        arguments: &dyn Fn(&mut Cmd),
    ) -> Result<Vec<String>, SinkError> {
        let answer = self.script.call(&mut self.connection, call, arguments);
        let answer: Value = match answer.await {
            Ok(answer) => answer,
            Err(error) => {
                let why = failure::of(&error);
                let answered = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
                let broke =
                    call == ScriptCall::Apply && answered && self.state().await?.writing.is_some();
                return if broke {
                    Ok(vec!["broke".into(), why.to_string()])
                } else {
                    Err(why)
                };
            }
        };
        let words: Vec<String> =
            redis::from_redis_value(answer).map_err(|error| failure::of(&error.into()))?;
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["wrong", key, wanted] => Err(failure::wrong_type(key, wanted)),
            ["ahead", key] => Err(failure::events_ahead(key)),
            ["denied", command] => Err(failure::denied(command)),
            ["moved"] => Err(SinkError::Moved),
            _ => Ok(words),
        }
    }

    /// How far the projection is.
    pub(super) async fn state(&mut self) -> Result<ProjectionState, SinkError> {
        self.run(&ProjectionState::question())
            .await
            .map(ProjectionState::of)
    }
}

/// The fields of the watermark's key.
pub(super) type StateFields = (Option<u64>, Option<u32>, Option<String>, Option<String>);

impl ProjectionState {
    /// The command that reads it.
    pub(super) fn question() -> Cmd {
        let mut command = redis::cmd("HMGET");
        command.arg(WATERMARK);
        command.arg(&["lsn", "fingerprint", "rebuilding", "writing"]);
        command
    }

    /// Returns the state that the answer describes.
    pub(super) fn of((lsn, fingerprint, rebuilding, writing): StateFields) -> Self {
        ProjectionState {
            watermark: Watermark {
                lsn: Lsn(lsn.unwrap_or(0)),
                fingerprint: fingerprint.unwrap_or(0),
            },
            rebuilding,
            writing,
        }
    }
}
