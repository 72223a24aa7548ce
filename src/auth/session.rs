//! Sessions: short-lived tokens of our own, each of which is verified with one HMAC.
//!
//! A session is `fs1.` and, in base64url, the HMAC-SHA256 of what follows it: the time of its end, the user, and what
//! the token said that it was exchanged for. Nothing of it is kept: every server with the same secret takes it, also
//! after a restart.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use super::claims::{Claims, Grants};
use crate::limits::{GRANTS_MAX, ID_BYTES_MAX};
use crate::telemetry::TokenRefusal;
use crate::types::{ItemId, SaleId, UserId};

/// What every session begins with, and no token of an issuer: the first part of that is a JSON object in base64url.
const PREFIX: &str = "fs1.";
/// The purpose of the keys: a secret that is used elsewhere, too, gives another key there.
const PURPOSE: &[u8] = b"flashsale session 1";
/// The bytes of an HMAC.
const TAG_BYTES: usize = 32;

/// Bits that say which grants follow the user.
const HAS_LIMIT: u8 = 1;
const HAS_ITEMS: u8 = 2;
const HAS_SALES: u8 = 4;

// The lengths are written in one byte each.
const _: () = assert!(GRANTS_MAX <= 255 && ID_BYTES_MAX <= 255);

/// The keys of sessions. The first one signs, and each verifies. `Debug` shows nothing of them.
#[derive(Debug)]
pub struct SessionKeys {
    keys: Vec<hmac::Key>,
}

impl SessionKeys {
    /// Derives the keys from the secrets in `text`, between which is white space.
    #[must_use]
    pub fn derive(text: &str) -> Self {
        let key = |secret: &str| {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let derived = hmac::sign(&secret, PURPOSE);
            hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
        };
        Self {
            keys: text.split_ascii_whitespace().map(key).collect(),
        }
    }

    /// Returns whether `token` has the form of a session, whoever made it.
    #[must_use]
    pub fn is_session(token: &str) -> bool {
        token.starts_with(PREFIX)
    }

    /// Returns a session that proves `claims`; `None` where there is no key.
    #[must_use]
    pub fn issue(&self, claims: &Claims) -> Option<String> {
        let mut body = vec![0; TAG_BYTES];
        write(claims, &mut body);
        let tag = hmac::sign(self.keys.first()?, &body[TAG_BYTES..]);
        body[..TAG_BYTES].copy_from_slice(tag.as_ref());
        let mut session = PREFIX.to_owned();
        URL_SAFE_NO_PAD.encode_string(&body, &mut session);
        Some(session)
    }

    /// Returns what `session` proves at `now_s`, in seconds since 1970.
    ///
    /// # Errors
    /// It is not of our making, or is over.
    pub fn verify(&self, session: &str, now_s: u64) -> Result<Claims, TokenRefusal> {
        let text = session
            .strip_prefix(PREFIX)
            .ok_or(TokenRefusal::Malformed)?;
        let bytes = URL_SAFE_NO_PAD.decode(text);
        let bytes = bytes.map_err(|_| TokenRefusal::Malformed)?;
        let split = bytes.split_at_checked(TAG_BYTES);
        let (tag, body) = split.ok_or(TokenRefusal::Malformed)?;
        let is_of = |key: &hmac::Key| hmac::verify(key, body, tag).is_ok();
        if !self.keys.iter().any(is_of) {
            return Err(TokenRefusal::Signature);
        }
        // We have written it, so that only another version of ours is of another form.
        let claims = read(body).ok_or(TokenRefusal::Malformed)?;
        match now_s < claims.expires_s {
            true => Ok(claims),
            false => Err(TokenRefusal::Expired),
        }
    }
}

fn write(claims: &Claims, out: &mut Vec<u8>) {
    let Grants {
        limit,
        items,
        sales,
    } = &claims.grants;
    out.extend_from_slice(&claims.expires_s.to_be_bytes());
    let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    out.push(
        flag(limit.is_some(), HAS_LIMIT)
            | flag(items.is_some(), HAS_ITEMS)
            | flag(sales.is_some(), HAS_SALES),
    );
    write_text(&claims.user, out);
    if let Some(limit) = limit {
        out.extend_from_slice(&limit.to_be_bytes());
    }
    if let Some(items) = items {
        out.push(items.len() as u8);
        items.iter().for_each(|item| write_text(item, out));
    }
    if let Some(sales) = sales {
        out.push(sales.len() as u8);
        let numbers = sales.iter().flat_map(|sale| sale.0.to_be_bytes());
        out.extend(numbers);
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

fn read(mut body: &[u8]) -> Option<Claims> {
    let rest = &mut body;
    let expires_s = u64::from_be_bytes(*take(rest)?);
    let [flags] = *take(rest)?;
    let has = |bit: u8| flags & bit != 0;
    let user = take_text(rest).filter(|user| UserId::new(user).is_ok())?;
    let limit = match has(HAS_LIMIT) {
        true => Some(u32::from_be_bytes(*take(rest)?)),
        false => None,
    };
    let items = match has(HAS_ITEMS) {
        true => Some(take_list(rest, |rest| {
            let item = take_text(rest).filter(|item| ItemId::new(item).is_ok())?;
            Some(item.into())
        })?),
        false => None,
    };
    let sales = match has(HAS_SALES) {
        true => Some(take_list(rest, |rest| {
            Some(SaleId(u32::from_be_bytes(*take(rest)?)))
        })?),
        false => None,
    };
    let is_known = flags & !(HAS_LIMIT | HAS_ITEMS | HAS_SALES) == 0;
    (is_known && rest.is_empty()).then(|| Claims {
        user: user.into(),
        expires_s,
        grants: Grants {
            limit,
            items,
            sales,
        },
    })
}

fn take<'b, const N: usize>(rest: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (taken, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(taken)
}

fn take_text<'b>(rest: &mut &'b [u8]) -> Option<&'b str> {
    let [length] = *take(rest)?;
    let (text, behind) = rest.split_at_checked(length.into())?;
    *rest = behind;
    str::from_utf8(text).ok()
}

fn take_list<'b, T>(
    rest: &mut &'b [u8],
    one: impl Fn(&mut &'b [u8]) -> Option<T>,
) -> Option<Box<[T]>> {
    let [count] = *take(rest)?;
    (0..count).map(|_| one(rest)).collect()
}
