//! The keys that tokens are verified with: a JWK Set (RFC 7517), or secrets of HS256, one a line.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::RsaPublicKeyComponents;
use serde_json::Value;

use super::key::{Algorithm, Material, VerificationKey};
use crate::json_members::JsonMembers;
use crate::limits::{
    AUTH_KEY_ID_BYTES_MAX, AUTH_KEYS_MAX, AUTH_KEYS_TRIED_MAX, AUTH_SECRET_BYTES_MAX,
    AUTH_SECRET_BYTES_MIN,
};
use crate::telemetry::TokenRefusal;

/// The lengths of the modulus of an RSA key, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;
/// The bytes of a coordinate on P-256, and of a point on Ed25519.
const POINT_BYTES: usize = 32;

/// The reason why a file of keys cannot be used. It holds nothing of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// The file is neither a set of keys nor a list of secrets.
    #[error(
        "it is no JWK Set: it must be a JSON object with a list \"keys\", or secrets of HS256, one a line"
    )]
    NotASet,
    /// Nothing in it can verify a token.
    #[error(
        "it holds no key that can be used: it must hold keys of RSA, of P-256 or of Ed25519 that may sign, or secrets"
    )]
    NoKeys,
    /// It holds more keys than are allowed.
    #[error("it holds {0} keys, of which {AUTH_KEYS_MAX} are allowed")]
    TooMany(usize),
    /// A secret is too short, too long, or has characters that are not allowed.
    #[error(
        "line {0} is no secret: it must be {AUTH_SECRET_BYTES_MIN} to {AUTH_SECRET_BYTES_MAX} visible ASCII characters"
    )]
    Secret(usize),
    /// A key of a kind that is known is wrong.
    #[error("keys[{index}] {wrong}")]
    Key {
        /// Its place in the list, from 0.
        index: usize,
        /// The words for what is wrong, and what is allowed.
        wrong: &'static str,
    },
}

/// The keys that tokens are verified with.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<VerificationKey>,
}

impl KeySet {
    /// Reads the content of a file of keys.
    ///
    /// # Errors
    /// Says what is wrong, without a word of a key.
    pub fn parse(text: &str) -> Result<Self, KeySetError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let keys = match text.trim_start().starts_with('{') {
            true => jwk_set(text)?,
            false => secrets(text)?,
        };
        match keys.len() {
            0 => Err(KeySetError::NoKeys),
            count if count > AUTH_KEYS_MAX => Err(KeySetError::TooMany(count)),
            _ => Ok(Self { keys }),
        }
    }

    /// Returns how many keys of each algorithm there are, as text for the log: `HS256: 1, EdDSA: 2`.
    #[must_use]
    pub fn describe(&self) -> String {
        let counts = Algorithm::ALL.map(|algorithm| {
            let keys = self.keys.iter().filter(|key| key.algorithm() == algorithm);
            (algorithm.name(), keys.count())
        });
        let counts = counts.iter().filter(|(_, count)| *count > 0);
        let texts: Vec<_> = counts
            .map(|(name, count)| format!("{name}: {count}"))
            .collect();
        texts.join(", ")
    }

    /// Returns the keys that may have signed a token which names `algorithm` and perhaps a key: those of that id, and
    /// those that have none.
    ///
    /// # Errors
    /// No key is of the algorithm or has the id, or the token names none and too many would have to be tried.
    pub(super) fn candidates(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
    ) -> Result<impl Iterator<Item = &VerificationKey>, TokenRefusal> {
        let fitting = move |key: &&VerificationKey| key.is_of(algorithm);
        let named = move |key: &&VerificationKey| match (&key.id, id) {
            (Some(known), Some(id)) => **known == *id,
            _ => true,
        };
        if !self.keys.iter().any(|key| fitting(&key)) {
            return Err(TokenRefusal::Algorithm);
        }
        let found = move || self.keys.iter().filter(fitting).filter(named);
        match found().count() {
            1..=AUTH_KEYS_TRIED_MAX => Ok(found()),
            _ => Err(TokenRefusal::UnknownKey),
        }
    }
}

fn secrets(text: &str) -> Result<Vec<VerificationKey>, KeySetError> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty());
    let secret = |(index, line): (usize, &str)| {
        let lengths = AUTH_SECRET_BYTES_MIN..=AUTH_SECRET_BYTES_MAX;
        let is_visible = line.bytes().all(|byte| byte.is_ascii_graphic());
        match is_visible && lengths.contains(&line.len()) {
            true => Ok(VerificationKey {
                id: None,
                material: Material::secret(line.as_bytes()),
            }),
            false => Err(KeySetError::Secret(index + 1)),
        }
    };
    let keys: Vec<_> = lines.map(secret).collect::<Result<_, _>>()?;
    match keys.len() {
        // None of them has an id, so that each is tried.
        count if count > AUTH_KEYS_TRIED_MAX => Err(KeySetError::TooMany(count)),
        _ => Ok(keys),
    }
}

fn jwk_set(text: &str) -> Result<Vec<VerificationKey>, KeySetError> {
    let set = serde_json::from_str::<JsonMembers<Value>>(text);
    let JsonMembers(members) = set.map_err(|_| KeySetError::NotASet)?;
    let mut lists = members.iter().filter(|(name, _)| name == "keys");
    let (Some((_, Value::Array(list))), None) = (lists.next(), lists.next()) else {
        return Err(KeySetError::NotASet);
    };
    let (mut keys, mut ids) = (Vec::new(), HashSet::new());
    for (index, jwk) in list.iter().enumerate() {
        let key = key(jwk).map_err(|wrong| KeySetError::Key { index, wrong })?;
        let Some(key) = key else {
            continue;
        };
        if let Some(id) = &key.id
            && !ids.insert((id.clone(), key.algorithm().name()))
        {
            let wrong = "has a kid and a kind that another one has, too: each must be there once";
            return Err(KeySetError::Key { index, wrong });
        }
        keys.push(key);
    }
    Ok(keys)
}

/// Reads one key; `None` for one that is of another kind, or for something else than signatures: RFC 7517 has such keys
/// ignored.
fn key(jwk: &Value) -> Result<Option<VerificationKey>, &'static str> {
    let member = |name: &str| match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(&**text)),
        Some(_) => Err("has a member of another type than text where text must be"),
    };
    if !jwk.is_object() {
        return Err("must be an object");
    }
    let kind = member("kty")?.ok_or("must have a kty, such as \"OKP\"")?;
    if member("use")?.is_some_and(|purpose| purpose != "sig") {
        return Ok(None);
    }
    let bytes = |name: &str| {
        let text = member(name)?.ok_or("lacks a part of the key")?;
        let bytes = URL_SAFE_NO_PAD.decode(text);
        bytes.map_err(|_| "has a part that is not base64url without padding")
    };
    let curve = member("crv")?.unwrap_or_default();
    let algorithm = match (kind, curve) {
        ("oct", _) => Algorithm::Hs256,
        ("RSA", _) => Algorithm::Rs256,
        ("EC", "P-256") => Algorithm::Es256,
        ("OKP", "Ed25519") => Algorithm::EdDsa,
        _ => return Ok(None),
    };
    if let Some(name) = member("alg")?
        && Algorithm::named(name) != Some(algorithm)
    {
        return Ok(None);
    }
    if algorithm != Algorithm::Hs256 && jwk.get("d").is_some() {
        return Err("is a private key: the server needs, and should have, only the public one");
    }
    let material = match algorithm {
        Algorithm::Hs256 => Material::secret(&checked_secret(bytes("k")?)?),
        Algorithm::Rs256 => Material::Rsa(checked_rsa(&bytes("n")?, &bytes("e")?)?),
        Algorithm::Es256 => Material::p256(checked_p256(&bytes("x")?, &bytes("y")?)?),
        Algorithm::EdDsa => Material::ed25519(checked_ed25519(bytes("x")?)?),
    };
    let id = member("kid")?;
    if id.is_some_and(|id| id.is_empty() || id.len() > AUTH_KEY_ID_BYTES_MAX) {
        return Err("must have a kid of 1 to 256 bytes, or none");
    }
    Ok(Some(VerificationKey {
        id: id.map(Into::into),
        material,
    }))
}

fn checked_secret(secret: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    match (AUTH_SECRET_BYTES_MIN..=AUTH_SECRET_BYTES_MAX).contains(&secret.len()) {
        true => Ok(secret),
        false => Err("must have a secret k of 32 to 1024 bytes"),
    }
}

fn checked_rsa(
    modulus: &[u8],
    exponent: &[u8],
) -> Result<RsaPublicKeyComponents<Box<[u8]>>, &'static str> {
    let (n, e) = (without_zeros(modulus), without_zeros(exponent));
    let zeros = n.first().map_or(0, |first| first.leading_zeros()) as usize;
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    if !RSA_BITS.contains(&(n.len() * 8 - zeros)) || !is_odd(n) {
        return Err("must have a modulus n of 2048 to 8192 bits");
    }
    // What is allowed beyond the usual 65537 is what the verification takes.
    if !is_odd(e) || e.len() > 4 || e == [1] {
        return Err("must have an odd exponent e from 3 to 4294967295, such as AQAB");
    }
    Ok(RsaPublicKeyComponents {
        n: n.into(),
        e: e.into(),
    })
}

fn checked_p256(x: &[u8], y: &[u8]) -> Result<Box<[u8]>, &'static str> {
    if x.len() != POINT_BYTES || y.len() != POINT_BYTES {
        return Err("must have an x and a y of 32 bytes each");
    }
    // What says that the point is not compressed.
    Ok([&[4], x, y].concat().into())
}

fn checked_ed25519(x: Vec<u8>) -> Result<Box<[u8]>, &'static str> {
    match x.len() {
        POINT_BYTES => Ok(x.into()),
        _ => Err("must have an x of 32 bytes"),
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    &number[zeros..]
}
