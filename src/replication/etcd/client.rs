//! The members of an etcd, of which one is asked at a time.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::connection::{CallError, MemberConnection, NO_SPACE};
use super::messages::{AuthenticateRequest, EtcdQuestion};
use crate::env::Secret;
use crate::limits;
use crate::replication::LogError;
use crate::types::ServerAddress;

const CONNECT: Duration = Duration::from_millis(limits::ETCD_CONNECT_MS);
const ANSWER: Duration = Duration::from_millis(limits::ETCD_ANSWER_MS);

/// The way to an etcd.
#[derive(Clone, Debug)]
pub struct EtcdOptions {
    /// The members that are asked, at least one.
    pub members: Vec<ServerAddress>,
    /// The user; empty where there is none, or a certificate says who it is.
    pub user: String,
    /// Its password.
    pub password: Option<Secret>,
    /// What encrypts the connections; `None` when nothing does.
    pub tls: Option<Arc<ClientConfig>>,
}

/// The connection to one member, and the way to the others.
pub(super) struct EtcdClient {
    runtime: Runtime,
    options: EtcdOptions,
    /// The member that is tried first, by its place.
    first: usize,
    session: Option<MemberSession>,
}

/// A connection on which a user has been recognised.
struct MemberSession {
    connection: MemberConnection,
    token: Option<String>,
}

impl EtcdClient {
    /// Creates a client that is not connected yet.
    pub(super) fn new(options: EtcdOptions) -> std::io::Result<Self> {
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            options,
            first: 0,
            session: None,
        })
    }

    /// Returns the members that it knows.
    pub(super) fn members(&self) -> &[ServerAddress] {
        &self.options.members
    }

    /// Asks the member that answered last, or the next one that can be reached.
    ///
    /// # Errors
    /// There is no clean answer; another member is asked the next time.
    pub(super) fn ask<Q: EtcdQuestion>(&mut self, question: &Q) -> Result<Q::Answer, LogError> {
        self.asked(question).map_err(|(address, error)| {
            let why = format!("{address}: {error}");
            match error.says(NO_SPACE) {
                true => LogError::Full(format!(
                    "{why}: etcd has used up its quota (--quota-backend-bytes) and takes no changes; docs/replication.md says how to make room"
                )),
                false => LogError::Unknown(why),
            }
        })
    }

    /// Asks as [`EtcdClient::ask`] does. Returns the member with its error.
    pub(super) fn asked<Q: EtcdQuestion>(
        &mut self,
        question: &Q,
    ) -> Result<Q::Answer, (String, CallError)> {
        let (session, options, first) = (self.session.take(), &self.options, &mut self.first);
        let (answer, session) = self.runtime.block_on(async {
            let mut session = match session {
                Some(session) => session,
                None => MemberSession::open(options, first).await?,
            };
            let answer = session.ask(options, question).await;
            let named = |error| (session.connection.address().to_owned(), error);
            Ok::<_, (String, CallError)>((answer.map_err(named), session))
        })?;
        match &answer {
            Ok(_) => self.session = Some(session),
            Err((_, error)) if error.is_judgement() => self.session = Some(session),
            // The connection is gone, with what it may still be doing.
            Err(_) => self.first = (self.first + 1) % self.options.members.len(),
        }
        answer
    }

    /// Returns who the members take this client for, in words.
    pub(super) fn identity(&self) -> String {
        let options = &self.options;
        match (&*options.user, &options.tls) {
            ("", None) => "who asks without a user".to_owned(),
            ("", Some(_)) => "the user that the certificate names".to_owned(),
            (user, _) => format!("the user {user}"),
        }
    }

    /// Returns whether the user was recognised when something was asked last.
    pub(super) fn has_token(&self) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| session.token.is_some())
    }

    /// Asks the member at `place`, and no other one, over a connection of its own.
    ///
    /// # Errors
    /// There is no clean answer.
    pub(super) fn ask_at<Q: EtcdQuestion>(
        &self,
        place: usize,
        question: &Q,
    ) -> Result<Q::Answer, CallError> {
        let options = &self.options;
        self.runtime.block_on(async {
            let mut session = MemberSession::open_at(options, &options.members[place]).await?;
            session.ask(options, question).await
        })
    }
}

impl MemberSession {
    /// Connects to the first member, or the next one that can be reached, which is the first from now on.
    async fn open(options: &EtcdOptions, first: &mut usize) -> Result<Self, (String, CallError)> {
        let mut failure = None;
        for _ in 0..options.members.len() {
            let member = &options.members[*first];
            match Self::open_at(options, member).await {
                Ok(session) => return Ok(session),
                Err(error) => failure = Some((member.to_string(), error)),
            }
            *first = (*first + 1) % options.members.len();
        }
        Err(failure.expect("there is a member"))
    }

    async fn open_at(options: &EtcdOptions, member: &ServerAddress) -> Result<Self, CallError> {
        let opened = timeout(
            CONNECT,
            MemberConnection::open(member, options.tls.as_ref()),
        );
        let slow = |_| CallError::Broken(format!("no connection within {CONNECT:?}"));
        let connection = opened.await.map_err(slow)?.map_err(CallError::Broken)?;
        let mut session = Self {
            connection,
            token: None,
        };
        session.log_in(options).await?;
        Ok(session)
    }

    async fn ask<Q: EtcdQuestion>(
        &mut self,
        options: &EtcdOptions,
        question: &Q,
    ) -> Result<Q::Answer, CallError> {
        match self.call(question).await {
            // It was not done: a member looks at the token first.
            Err(error) if error.is_token_rejected() && !options.user.is_empty() => {
                self.log_in(options).await?;
                self.call(question).await
            }
            answered => answered,
        }
    }

    async fn call<Q: EtcdQuestion>(&self, question: &Q) -> Result<Q::Answer, CallError> {
        let answer = self
            .connection
            .call(question, self.token.as_deref(), ANSWER);
        let slow = |_| CallError::Broken(format!("no answer within {ANSWER:?}"));
        timeout(ANSWER, answer).await.map_err(slow)?
    }

    /// Gets a token for the user, if there is one. It ends after a time, and with the member's memory.
    async fn log_in(&mut self, options: &EtcdOptions) -> Result<(), CallError> {
        self.token = None;
        if options.user.is_empty() {
            return Ok(());
        }
        let session = &*self;
        let attempt = |password: SecretString| async move {
            let question = AuthenticateRequest {
                name: options.user.clone(),
                password: password.expose_secret().to_owned(),
            };
            session.call(&question).await
        };
        let is_rejection = |error: &CallError| error.says("invalid user ID or password");
        let answer = match &options.password {
            Some(password) => password.attempt("etcd", is_rejection, attempt).await,
            None => attempt(SecretString::default()).await,
        };
        match answer {
            Ok(answer) => self.token = Some(answer.token),
            // Anybody may do anything there; preflight warns of it.
            Err(error) if error.says("authentication is not enabled") => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
