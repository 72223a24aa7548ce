//! The code that runs inside of Redis: a library of functions, or the same body as scripts where
//! functions are missing or not allowed.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use super::failure;
use crate::reconcile::SinkError;

const BODY: &str = include_str!("projection.lua");

/// What can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScriptCall {
    /// Applies changes and moves the watermark.
    Apply,
    /// Empties the projection.
    Empty,
    /// Sums up parts of hashes.
    Sum,
}

impl ScriptCall {
    const ALL: [Self; 3] = [Self::Apply, Self::Empty, Self::Sum];

    fn name(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Empty => "empty",
            Self::Sum => "sum",
        }
    }

    /// Functions share one room of names, whatever their library.
    fn function(self) -> String {
        format!("flashsale_{}_{:08x}", self.name(), version())
    }

    /// Emptying is what helps when memory has run out.
    fn flags(self) -> &'static str {
        match self {
            Self::Apply => "",
            Self::Empty => "'allow-oom'",
            Self::Sum => "'no-writes'",
        }
    }

    /// Returns the text of the function as a script.
    fn text(self) -> String {
        format!("{BODY}\nreturn {}(KEYS, ARGV)\n", self.name())
    }
}

/// Library and functions are named after the code: servers of several versions that use one Redis do
/// not call or remove each other's.
fn version() -> u32 {
    crc32c::crc32c(BODY.as_bytes())
}

fn library() -> String {
    format!("flashsale_{:08x}", version())
}

/// How the calls are made.
pub(super) struct Script {
    has_functions: bool,
    scripts: [(redis::Script, String); ScriptCall::ALL.len()],
}

impl Script {
    pub(super) fn new() -> Self {
        let both = |text: String| (redis::Script::new(&text), text);
        Self {
            has_functions: false,
            scripts: ScriptCall::ALL.map(|call| both(call.text())),
        }
    }

    /// Loads the library unless it is there.
    ///
    /// # Errors
    /// Redis cannot be asked. Where it has no functions or does not let us, scripts are used.
    pub(super) async fn load(
        &mut self,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), SinkError> {
        match load_library(connection).await {
            Ok(()) => self.has_functions = true,
            Err(error) if is_without_functions(&error) => {
                tracing::info!("redis: no functions for us there; scripts are used instead");
                self.has_functions = false;
            }
            Err(error) => return Err(failure::of(&error)),
        }
        Ok(())
    }

    pub(super) async fn call(
        &mut self,
        connection: &mut MultiplexedConnection,
        call: ScriptCall,
        arguments: &dyn Fn(&mut Cmd),
    ) -> RedisResult<Value> {
        if self.has_functions {
            let mut command = redis::cmd("FCALL");
            command.arg(call.function());
            arguments(&mut command);
            let answer = command.query_async(connection).await;
            match answer {
                Err(error) if is_without_functions(&error) => self.has_functions = false,
                answer => return answer,
            }
        }
        let (script, text) = &self.scripts[call as usize];
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.get_hash());
        arguments(&mut command);
        match command.query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {}
            answer => return answer,
        }
        let mut command = redis::cmd("EVAL");
        command.arg(text);
        arguments(&mut command);
        command.query_async(connection).await
    }
}

async fn load_library(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut list = redis::cmd("FUNCTION");
    list.arg("LIST").arg("LIBRARYNAME").arg(library());
    let listed: Value = list.query_async(connection).await?;
    let listed = format!("{listed:?}");
    if ScriptCall::ALL
        .iter()
        .all(|call| listed.contains(&call.function()))
    {
        // It may be listed and yet not for us to call.
        return probe(connection).await;
    }
    let mut code = format!("#!lua name={}\n{BODY}", library());
    for call in ScriptCall::ALL {
        code.push_str(&format!(
            "\nredis.register_function{{ function_name = '{}', callback = {}, flags = {{ {} }} }}\n",
            call.function(),
            call.name(),
            call.flags()
        ));
    }
    let mut load = redis::cmd("FUNCTION");
    load.arg("LOAD").arg(code);
    match load.query_async::<()>(connection).await {
        // Another server has been faster.
        Err(error) if mentions(&error, "already exists") => {}
        loaded => loaded?,
    }
    probe(connection).await
}

/// Finds out whether functions may be called, with one that nobody has.
async fn probe(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut call = redis::cmd("FCALL");
    call.arg("flashsale_none").arg(0);
    match call.query_async::<Value>(connection).await {
        Err(error) if is_without_functions(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Whether the server is older than functions, or this user may not use them.
fn is_without_functions(error: &RedisError) -> bool {
    mentions(error, "unknown command") || error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
}

fn mentions(error: &RedisError, part: &str) -> bool {
    error.detail().is_some_and(|detail| detail.contains(part))
}
