//! The claims of a token: who the user is, until when that may be believed, and what it narrows or invites to.

use serde_json::Value;

use super::token::{find, members};
use crate::limits::GRANTS_MAX;
use crate::planted::{Slip, is_planted};
use crate::telemetry::TokenRefusal;
use crate::types::{ItemId, SaleId, UserId};

/// Rules for the claims of a token, besides that they are well-formed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimRules {
    /// The issuer; `None` where each is taken whose key is known.
    pub issuer: Option<String>,
    /// Our name as an audience; `None` where tokens are refused that are for an audience.
    pub audience: Option<String>,
    /// Seconds by which the clock of the issuer may differ from ours.
    pub leeway_s: u32,
}

/// What a token proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The user, whose form is that of [`UserId`].
    pub user: Box<str>,
    /// The time from which on the token is not taken any more, in seconds since 1970.
    pub expires_s: u64,
    /// The limits of the user, and the invitations.
    pub grants: Grants,
}

impl Claims {
    /// The user.
    ///
    /// # Panics
    /// Never: the form was checked when the claims were read.
    #[must_use]
    pub fn user(&self) -> UserId<'_> {
        UserId::new(&self.user).expect("it was checked")
    }
}

/// What a user may do less than others, or is invited to. Nothing, for most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Units that the user may have in a sale, where that is less than its limit: `fs_limit`.
    pub limit: Option<u32>,
    /// The only items that the user may have: `fs_items`.
    pub items: Option<Box<[Box<str>]>>,
    /// The only sales in which the user may buy, and those to which the user is invited: `fs_sales`.
    pub sales: Option<Box<[SaleId]>>,
}

impl Grants {
    /// Returns whether the user may have `item`.
    #[must_use]
    pub fn allow_item(&self, item: ItemId<'_>) -> bool {
        let allowed = |items: &[Box<str>]| items.iter().any(|known| **known == *item.as_str());
        self.items.as_deref().is_none_or(allowed)
    }

    /// Returns whether the user may buy in `sale`.
    #[must_use]
    pub fn allow_sale(&self, sale: SaleId) -> bool {
        self.sales.as_ref().is_none_or(|it| it.contains(&sale))
    }
}

impl ClaimRules {
    /// Reads the claims of a verified token, which must be in force at `now_s`, in seconds since 1970.
    ///
    /// # Errors
    /// A claim is missing that must be there, is of another type, or is not as the rules want it.
    pub fn read(&self, payload: &[u8], now_s: u64) -> Result<Claims, TokenRefusal> {
        let members = members(payload).ok_or(TokenRefusal::Claims)?;
        let claim = |name: &str| find(&members, name);
        let leeway_s = u64::from(self.leeway_s);
        let expires = claim("exp").map(seconds).transpose()?;
        let expires_s = match expires {
            Some(time) => time.floor() as u64,
            None if is_planted(Slip::SkipsTokenExpiry) => u64::MAX,
            None => return Err(TokenRefusal::Claims),
        };
        let not_before = claim("nbf").map(seconds).transpose()?;
        let not_before_s = not_before.map_or(0, |time| time.ceil() as u64);
        claim("iat").map(seconds).transpose()?;
        self.check_issuer(claim("iss"))?;
        self.check_audience(claim("aud"))?;
        if now_s.saturating_add(leeway_s) < not_before_s {
            return Err(TokenRefusal::NotYetValid);
        }
        if now_s >= expires_s.saturating_add(leeway_s) && !is_planted(Slip::SkipsTokenExpiry) {
            return Err(TokenRefusal::Expired);
        }
        let user = claim("sub").and_then(Value::as_str);
        let user = user.filter(|user| UserId::new(user).is_ok());
        Ok(Claims {
            user: user.ok_or(TokenRefusal::Claims)?.into(),
            expires_s,
            grants: Grants {
                limit: claim("fs_limit").map(limit).transpose()?,
                items: claim("fs_items").map(|it| list(it, item)).transpose()?,
                sales: claim("fs_sales").map(|it| list(it, sale)).transpose()?,
            },
        })
    }

    fn check_issuer(&self, given: Option<&Value>) -> Result<(), TokenRefusal> {
        let given = match given {
            None => None,
            Some(Value::String(issuer)) => Some(issuer),
            Some(_) => return Err(TokenRefusal::Claims),
        };
        match &self.issuer {
            Some(issuer) if given != Some(issuer) => Err(TokenRefusal::Issuer),
            _ => Ok(()),
        }
    }

    /// RFC 7519: whoever does not find itself among the audiences must refuse the token.
    fn check_audience(&self, given: Option<&Value>) -> Result<(), TokenRefusal> {
        let given: Vec<&str> = match given {
            None => Vec::new(),
            Some(Value::String(audience)) => vec![audience],
            Some(Value::Array(list)) => {
                let texts: Option<_> = list.iter().map(Value::as_str).collect();
                texts.ok_or(TokenRefusal::Claims)?
            }
            Some(_) => return Err(TokenRefusal::Claims),
        };
        let is_meant = match &self.audience {
            Some(audience) => given.contains(&&**audience),
            None => given.is_empty(),
        };
        is_meant.then_some(()).ok_or(TokenRefusal::Audience)
    }
}

/// Returns a point in time, which may have a fraction.
fn seconds(value: &Value) -> Result<f64, TokenRefusal> {
    let seconds = value.as_f64().filter(|seconds| seconds.is_finite());
    seconds.ok_or(TokenRefusal::Claims)
}

fn limit(value: &Value) -> Result<u32, TokenRefusal> {
    let limit = value
        .as_u64()
        .map(|it| u32::try_from(it).unwrap_or(u32::MAX));
    limit.ok_or(TokenRefusal::Claims)
}

fn list<T>(value: &Value, one: fn(&Value) -> Option<T>) -> Result<Box<[T]>, TokenRefusal> {
    let list = value.as_array().filter(|list| list.len() <= GRANTS_MAX);
    let list = list.and_then(|list| list.iter().map(one).collect());
    list.ok_or(TokenRefusal::Claims)
}

fn item(value: &Value) -> Option<Box<str>> {
    let item = value.as_str().filter(|item| ItemId::new(item).is_ok())?;
    Some(item.into())
}

fn sale(value: &Value) -> Option<SaleId> {
    value.as_str()?.parse().ok()
}
