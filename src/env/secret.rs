//! A secret that can be replaced while the server runs: it is read again from its file.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};

use crate::limits::SECRET_FILE_BYTES_MAX;

/// A password or a token. Clones share it, so that all users see a new one at once. Its `Debug` hides it.
#[derive(Clone)]
pub struct Secret(Arc<SecretState>);

struct SecretState {
    file: Option<SecretFile>,
    values: Mutex<Values>,
}

struct Values {
    current: SecretString,
    /// The secret that was replaced last: a server may not know the new one yet.
    previous: Option<SecretString>,
    /// The last logged error of the file, so that it is not logged again with every attempt.
    told: String,
}

/// The file of a secret.
#[derive(Clone)]
pub struct SecretFile {
    /// The setting that names the file, such as `DB_PASSWORD_FILE`.
    pub name: &'static str,
    /// The path of the file.
    pub path: PathBuf,
    /// Returns whether a text can be this secret.
    pub is_allowed: fn(&str) -> bool,
    /// Describes the texts that are allowed, behind "must be".
    pub allowed: fn() -> String,
}

impl SecretFile {
    /// Reads the secret. A line break at the end is no part of it.
    ///
    /// # Errors
    /// Says what is wrong with the file, without a word of what is in it.
    pub fn read(&self) -> Result<String, String> {
        let path = self.path.display();
        let text = read_text(&self.path).map_err(|error| format!("{path}: {error}"))?;
        match text.trim_end_matches(['\n', '\r']) {
            "" => Err(format!(
                "{path}: the file is empty: it must hold the secret"
            )),
            secret => Ok(secret.to_owned()),
        }
    }

    /// Reads a secret that can be this one, from a regular file: a pipe would block the reader for as long as
    /// nobody writes.
    ///
    /// # Errors
    /// Says what is wrong with the file, without a word of what is in it.
    pub fn read_allowed(&self) -> Result<SecretString, String> {
        let is_other_kind = fs::metadata(&self.path).is_ok_and(|it| !it.is_file());
        if is_other_kind {
            let path = self.path.display();
            return Err(format!("{path}: it must be a regular file"));
        }
        let secret = self.read()?;
        if (self.is_allowed)(&secret) {
            Ok(secret.into())
        } else {
            let (path, allowed) = (self.path.display(), (self.allowed)());
            // A file that is there is never for no secret.
            let allowed = allowed.trim_start_matches("empty, or ");
            Err(format!(
                "{path}: the text in it cannot be this secret, which must be {allowed}"
            ))
        }
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(SECRET_FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SECRET_FILE_BYTES_MAX {
        let what = format!("the file is longer than {SECRET_FILE_BYTES_MAX} bytes");
        return Err(io::Error::other(what));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("the file is not UTF-8"))
}

impl Secret {
    /// A secret that was read from `file`, and will be again.
    #[must_use]
    pub fn of_file(secret: SecretString, file: SecretFile) -> Self {
        Self::new(secret, Some(file))
    }

    fn new(current: SecretString, file: Option<SecretFile>) -> Self {
        let values = Mutex::new(Values {
            current,
            previous: None,
            told: String::new(),
        });
        Self(Arc::new(SecretState { file, values }))
    }

    /// The secret as it is now.
    #[must_use]
    pub fn get(&self) -> SecretString {
        self.0.values.lock().current.clone()
    }

    /// Returns whether both are clones of one secret, so that a new one is seen by both at once.
    #[must_use]
    pub fn is_same_secret(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns whether both are the same text now.
    #[must_use]
    pub fn is_same_text(&self, other: &Self) -> bool {
        is_same(&self.get(), &other.get())
    }

    /// Reads the file again; whether there is another secret in it. `None` for a secret without a file.
    ///
    /// # Errors
    /// Says what is wrong with the file, and that the secret stays as it was.
    #[must_use]
    pub fn read_again(&self) -> Option<Result<bool, String>> {
        self.read_again_beside(None)
    }

    /// Reads the file again as [`Self::read_again`] does, and refuses what `other` is.
    ///
    /// # Errors
    /// As there, or it is the same text as `other`.
    #[must_use]
    pub fn read_again_beside(&self, other: Option<&Self>) -> Option<Result<bool, String>> {
        let file = self.0.file.as_ref()?;
        let other = other.map(Self::get);
        Some(match file.read_allowed() {
            Ok(secret) if other.is_some_and(|other| is_same(&secret, &other)) => Err(format!(
                "{}: the text in it is that of another secret, which must differ; the secret stays as it was",
                file.name
            )),
            Ok(secret) => Ok(self.0.values.lock().replace(secret)),
            Err(why) => Err(format!("{}: {why}; the secret stays as it was", file.name)),
        })
    }

    /// Returns what may be right when a server has rejected the secret: what is in the file now, and what was replaced
    /// last. Logs an error of the file once.
    #[must_use]
    pub fn others(&self) -> Vec<SecretString> {
        let read = self.0.file.as_ref().map(SecretFile::read_allowed);
        let mut values = self.0.values.lock();
        let found = match read {
            Some(Ok(secret)) => {
                values.told.clear();
                Some(secret)
            }
            Some(Err(why)) => {
                if values.told != why {
                    let file = self.0.file.as_ref().map_or("", |file| file.name);
                    tracing::warn!("{file}: {why}; the secret stays as it was");
                    values.told = why;
                }
                None
            }
            None => None,
        };
        let is_other = |it: &SecretString| !is_same(it, &values.current);
        let others = found.into_iter().chain(values.previous.clone());
        others.filter(is_other).collect()
    }

    /// Makes `attempt` at `server` with the secret. Where it is rejected, makes one with the secret that is in the
    /// file by now, and one with the secret before, which may be all that the server knows yet. The one that is
    /// accepted becomes the current one.
    ///
    /// # Errors
    /// The first rejection where all are rejected; another error at once.
    pub async fn attempt<T, E, F>(
        &self,
        server: &str,
        is_rejection: impl Fn(&E) -> bool,
        attempt: impl Fn(SecretString) -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let rejected = match attempt(self.get()).await {
            Err(error) if is_rejection(&error) => error,
            ended => return ended,
        };
        for other in self.others() {
            match attempt(other.clone()).await {
                Err(error) if is_rejection(&error) => {}
                Ok(accepted) => {
                    tracing::info!("{server}: the password was rejected, and another one accepted");
                    self.accept(other);
                    return Ok(accepted);
                }
                Err(error) => return Err(error),
            }
        }
        Err(rejected)
    }

    /// Takes `secret`, which a server has accepted, for the current one.
    pub fn accept(&self, secret: SecretString) {
        self.0.values.lock().replace(secret);
    }
}

impl Values {
    fn replace(&mut self, secret: SecretString) -> bool {
        if is_same(&self.current, &secret) {
            return false;
        }
        self.previous = Some(std::mem::replace(&mut self.current, secret));
        self.told.clear();
        true
    }
}

fn is_same(a: &SecretString, b: &SecretString) -> bool {
    a.expose_secret() == b.expose_secret()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl From<SecretString> for Secret {
    fn from(secret: SecretString) -> Self {
        Self::new(secret, None)
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        SecretString::from(secret).into()
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    struct Fixture {
        _dir: tempfile::TempDir,
        path: PathBuf,
        secret: Secret,
    }

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let path = dir.path().join("password");
            fs::write(&path, "first\n").expect("room");
            let file = SecretFile {
                name: "DB_PASSWORD_FILE",
                path: path.clone(),
                is_allowed: |text| !text.contains('\t'),
                allowed: || "text without tabs".to_owned(),
            };
            let secret = Secret::of_file(file.read().expect("it is there").into(), file);
            Self {
                _dir: dir,
                path,
                secret,
            }
        }

        fn write(&self, text: &str) {
            fs::write(&self.path, text).expect("room");
        }

        fn current(&self) -> String {
            self.secret.get().expose_secret().to_owned()
        }

        fn others(&self) -> Vec<String> {
            let others = self.secret.others();
            others
                .iter()
                .map(|it| it.expose_secret().to_owned())
                .collect()
        }
    }

    #[test]
    fn a_new_secret_is_seen_by_all_who_share_it() {
        let fixture = Fixture::new();
        let clone = fixture.secret.clone();
        assert_eq!(fixture.secret.read_again(), Some(Ok(false)));
        fixture.write("second\n");
        assert_eq!(fixture.secret.read_again(), Some(Ok(true)));
        assert_eq!(clone.get().expose_secret(), "second");
        assert!(clone.is_same_secret(&fixture.secret));
        assert!(!clone.is_same_secret(&"second".into()));
        assert_eq!(Secret::from("fixed").read_again(), None);
    }

    #[test]
    fn a_secret_that_would_become_another_one_stays_as_it_was() {
        let fixture = Fixture::new();
        fixture.write("second");
        let other = Secret::from("second");
        let said = fixture.secret.read_again_beside(Some(&other));
        let said = said.expect("a file").expect_err("the same");
        assert!(said.contains("stays as it was") && !said.contains("second"));
        assert_eq!(fixture.current(), "first");
        fixture.write("third");
        let read = fixture.secret.read_again_beside(Some(&other));
        assert_eq!(read, Some(Ok(true)));
    }

    #[test]
    fn a_file_that_is_wrong_keeps_the_old_secret_and_shows_nothing_of_the_new_one() {
        let fixture = Fixture::new();
        for (text, why) in [
            ("", "is empty"),
            (
                "seco\tnd",
                "password: the text in it cannot be this secret, which must be text without tabs; the",
            ),
        ] {
            fixture.write(text);
            let said = fixture.secret.read_again().expect("a file");
            let said = said.expect_err(why);
            assert!(
                said.contains(why) && said.contains("stays as it was"),
                "{said}"
            );
            assert!(said.starts_with("DB_PASSWORD_FILE: "), "{said}");
            assert!(!said.contains("seco"), "{said}");
            assert!(fixture.others().is_empty());
            assert_eq!(fixture.current(), "first");
        }
        fs::remove_file(&fixture.path).expect("our own");
        let said = fixture.secret.read_again().expect("a file");
        assert!(said.is_err_and(|said| said.contains("No such file")));
        assert_eq!(fixture.current(), "first");
    }

    #[test]
    fn a_pipe_without_a_writer_blocks_nobody_who_reads_a_secret_again() {
        let fixture = Fixture::new();
        fs::remove_file(&fixture.path).expect("our own");
        mkfifoat(CWD, &fixture.path, Mode::RUSR).expect("an entry");
        let said = fixture.secret.read_again().expect("a file");
        assert!(said.is_err_and(|said| said.contains("regular file")));
        assert!(fixture.others().is_empty());
        assert_eq!(fixture.current(), "first");
    }

    #[test]
    fn a_rejected_secret_is_tried_with_the_file_and_with_what_was_before() {
        let fixture = Fixture::new();
        assert!(fixture.others().is_empty(), "nothing else is known");
        fixture.write("second");
        assert_eq!(fixture.others(), ["second"]);
        assert_eq!(fixture.current(), "first", "until a server accepts it");
        fixture.secret.accept("second".into());
        assert_eq!(fixture.others(), ["first"], "the server may be behind");
        fixture.write("third");
        assert_eq!(fixture.others(), ["third", "first"]);
    }

    #[test]
    fn attempts_are_made_with_what_may_be_right_until_something_else_is_wrong() {
        let fixture = Fixture::new();
        fixture.write("second");
        let try_at = |right: &'static str| {
            let attempt = move |password: SecretString| async move {
                match password.expose_secret() {
                    "broken" => Err("no answer"),
                    password if password == right => Ok(password.to_owned()),
                    _ => Err("rejected"),
                }
            };
            let attempted = fixture
                .secret
                .attempt("a server", |why| *why == "rejected", attempt);
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.expect("a runtime").block_on(attempted)
        };
        assert_eq!(try_at("third"), Err("rejected"));
        assert_eq!(fixture.current(), "first", "none was accepted");
        assert_eq!(try_at("second").as_deref(), Ok("second"));
        assert_eq!(fixture.current(), "second");
        assert_eq!(try_at("first").as_deref(), Ok("first"), "the one before");
        fixture.write("broken");
        assert_eq!(try_at("third"), Err("no answer"));
        assert_eq!(fixture.current(), "first");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let fixture = Fixture::new();
        let shown = format!("{:?}", fixture.secret);
        assert!(!shown.contains("first"), "{shown}");
    }
}
