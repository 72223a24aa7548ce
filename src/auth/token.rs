//! A token as it comes: a JWS in its compact form (RFC 7515).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::key::Algorithm;
use super::key_set::KeySet;
use crate::json_members::JsonMembers;
use crate::limits::{AUTH_KEY_ID_BYTES_MAX, USER_TOKEN_BYTES_MAX};
use crate::telemetry::TokenRefusal;

/// The types of tokens that say who a user is. Others, such as those that end a session, say something else.
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// The parts of a header that count. Where a header says in which key to trust, nobody listens.
struct Header {
    algorithm: Algorithm,
    key_id: Option<String>,
}

/// Returns the payload of `token`, if one of `keys` has signed it.
///
/// # Errors
/// It is no token, or none of the keys has signed it. Of the payload nothing was decoded then.
pub fn verify(token: &str, keys: &KeySet) -> Result<Vec<u8>, TokenRefusal> {
    if token.len() > USER_TOKEN_BYTES_MAX {
        return Err(TokenRefusal::TooLong);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenRefusal::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(TokenRefusal::Malformed)?;
    if payload.contains('.') {
        return Err(TokenRefusal::Malformed);
    }
    let header = Header::parse(&decoded(header)?)?;
    let signature = decoded(signature)?;
    let mut candidates = keys.candidates(header.algorithm, header.key_id.as_deref())?;
    match candidates.any(|key| key.has_signed(signed.as_bytes(), &signature)) {
        true => decoded(payload),
        false => Err(TokenRefusal::Signature),
    }
}

/// Decodes a part, of which each content has one form only.
fn decoded(part: &str) -> Result<Vec<u8>, TokenRefusal> {
    let decoded = URL_SAFE_NO_PAD.decode(part);
    decoded.map_err(|_| TokenRefusal::Malformed)
}

impl Header {
    fn parse(json: &[u8]) -> Result<Self, TokenRefusal> {
        let members = members(json).ok_or(TokenRefusal::Malformed)?;
        let member = |name: &str| find(&members, name);
        let text = |name: &str| match member(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(TokenRefusal::Malformed),
        };
        // No extension is known, so that none is understood.
        if member("crit").is_some() {
            return Err(TokenRefusal::Critical);
        }
        if text("typ")?.is_some_and(|kind| !is_type_of_user_tokens(kind)) {
            return Err(TokenRefusal::Malformed);
        }
        let algorithm = text("alg")?.ok_or(TokenRefusal::Malformed)?;
        let key_id = text("kid")?.cloned();
        if key_id
            .as_ref()
            .is_some_and(|id| id.len() > AUTH_KEY_ID_BYTES_MAX)
        {
            return Err(TokenRefusal::UnknownKey);
        }
        Ok(Self {
            algorithm: Algorithm::named(algorithm).ok_or(TokenRefusal::Algorithm)?,
            key_id,
        })
    }
}

fn is_type_of_user_tokens(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    let kind = kind.strip_prefix("application/").unwrap_or(&kind);
    TYPES.contains(&kind)
}

/// Returns the member with this name, if there is one.
pub(super) fn find<'m>(members: &'m [(String, Value)], name: &str) -> Option<&'m Value> {
    let found = members.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value)
}

/// Returns the members of a JSON object; `None` where it is none, or a name comes twice: two readers could take
/// different ones.
pub(super) fn members(json: &[u8]) -> Option<Vec<(String, Value)>> {
    let JsonMembers(members) = serde_json::from_slice(json).ok()?;
    let mut names: Vec<&str> = members
        .iter()
        .map(|(name, _): &(String, _)| &**name)
        .collect();
    names.sort_unstable();
    let is_unique = names.windows(2).all(|pair| pair[0] != pair[1]);
    is_unique.then_some(members)
}
