//! What SIGHUP reads anew: the certificate with its key, the secrets that are in files, and the keys of user tokens.

use std::path::PathBuf;
use std::sync::Arc;

use super::authority::{read_keys, session_keys};
use super::signals::OnHangup;
use crate::auth::Authority;
use crate::config::{Config, RedisPlace};
use crate::env::Secret;
use crate::runtime::{ListenerOptions, Tls};

/// Reads anew what was read from files, so that it can be replaced while connections go on. What cannot be used
/// leaves in force what there was.
pub(super) fn on_hangup(
    config: &Config,
    admin_token: &Secret,
    options: &ListenerOptions,
    authority: Option<&Arc<Authority>>,
) -> OnHangup {
    let tls = options.tls.clone();
    let users = authority.zip(config.auth.as_ref());
    let users = users.map(|(authority, auth)| UserTokensReload {
        authority: Arc::clone(authority),
        keys: auth.keys.clone(),
        session_secret: auth.session_secret.clone(),
    });
    let secrets = secrets(config);
    let mut tokens = vec![TokenReload {
        what: "the token of administration",
        token: admin_token.clone(),
        other: config.shop.token.clone(),
    }];
    tokens.extend(config.shop.token.clone().map(|token| TokenReload {
        what: "the token of the shop",
        token,
        other: Some(admin_token.clone()),
    }));
    Box::new(move || {
        let certificate = tls.iter().map(reload_certificate);
        let tokens = tokens.iter().filter_map(TokenReload::reload);
        let secrets = secrets.iter().filter_map(reload_secret).chain(tokens);
        let users = users.iter().flat_map(UserTokensReload::reload);
        let outcomes: Vec<_> = certificate.chain(secrets).chain(users).collect();
        if outcomes.is_empty() {
            return vec![Ok("there is nothing to read anew".to_owned())];
        }
        outcomes
    })
}

/// A token, and the one that it must not become: the shop's would open all of /admin.
struct TokenReload {
    what: &'static str,
    token: Secret,
    other: Option<Secret>,
}

impl TokenReload {
    fn reload(&self) -> Option<Result<String, String>> {
        let read = self.token.read_again_beside(self.other.as_ref())?;
        Some(outcome(self.what, read))
    }
}

/// What user tokens are verified with.
struct UserTokensReload {
    authority: Arc<Authority>,
    keys: PathBuf,
    session_secret: Secret,
}

impl UserTokensReload {
    fn reload(&self) -> Vec<Result<String, String>> {
        let keys = match read_keys(&self.keys) {
            Ok(keys) => {
                let said = format!(
                    "the keys of user tokens were read anew: {}",
                    keys.describe()
                );
                self.authority.set_keys(keys);
                Ok(said)
            }
            Err(error) => Err(format!(
                "the keys of user tokens stay as they were: {error}"
            )),
        };
        let secret = self.session_secret.read_again();
        if let Some(Ok(true)) = secret {
            let keys = session_keys(&self.session_secret);
            self.authority.set_session_keys(keys);
        }
        let secret = secret.map(|read| outcome("the secret of sessions", read));
        [Some(keys), secret].into_iter().flatten().collect()
    }
}

fn reload_certificate(tls: &Arc<Tls>) -> Result<String, String> {
    match tls.reload() {
        Ok(()) => Ok("the certificate was read anew, new connections are shown it".to_owned()),
        Err(error) => Err(format!("the certificate stays as it was: {error}")),
    }
}

/// The secrets that are configured but for the tokens, with what they are called.
fn secrets(config: &Config) -> Vec<(&'static str, Secret)> {
    let database = config.database.as_ref().map(|it| it.password.clone());
    // By default it is that of the database, which is read anew already.
    let log = config.replication.as_ref();
    let log = log.and_then(|it| it.password().cloned());
    let log = log.filter(|it| !is_shared(it, config));
    let redis = config.redis.as_ref().map(|it| it.password.clone());
    let sentinels = config.redis.as_ref().map(|it| match &it.place {
        RedisPlace::Sentinels { password, .. } => password.clone(),
        _ => None,
    });
    [
        ("the password of Postgres", database.flatten()),
        ("the password of the replicated log", log),
        ("the password of Redis", redis.flatten()),
        ("the password of the sentinels", sentinels.flatten()),
    ]
    .into_iter()
    .chain(
        config
            .webhooks
            .iter()
            .map(|it| ("the secret of a webhook", Some(it.secrets.clone()))),
    )
    .filter_map(|(what, secret)| Some((what, secret?)))
    .collect()
}

/// Returns whether the password of the replicated log is the one secret that both it and the database have.
fn is_shared(password: &Secret, config: &Config) -> bool {
    let database = config.database.as_ref().and_then(|it| it.password.as_ref());
    database.is_some_and(|database| database.is_same_secret(password))
}

/// `None` for a secret that is in no file.
fn reload_secret((what, secret): &(&'static str, Secret)) -> Option<Result<String, String>> {
    Some(outcome(what, secret.read_again()?))
}

fn outcome(what: &str, read: Result<bool, String>) -> Result<String, String> {
    match read {
        Ok(true) => Ok(format!("{what} was read anew")),
        Ok(false) => Ok(format!("{what} is the same as before")),
        Err(why) => Err(why),
    }
}
