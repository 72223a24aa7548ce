//! The limits of rates.

use serde_json::Value;

use super::keys;
use super::raw::Given;
use super::validate::Check;
use super::values::AllowedValues;
use crate::limits::{LIMIT_BURST_MAX, LIMIT_PER_SECOND_MAX};
use crate::types::RateLimit;

/// How often clients may ask for what is not the same for everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsConfig {
    /// The limit of each address; `None` where there is none.
    pub address: Option<RateLimit>,
    /// The limit of each user; `None` where there is none.
    pub user: Option<RateLimit>,
}

/// A limit, or none: an object in the file, and its text elsewhere.
pub(super) struct OptionalLimit;

impl AllowedValues for OptionalLimit {
    type Value = Option<RateLimit>;

    fn default(&self) -> Self::Value {
        None
    }

    fn parse(&self, given: &Given) -> Option<Self::Value> {
        let value = match given {
            Given::Json(value) => value.clone(),
            Given::Text(text) => serde_json::from_str(text).ok()?,
        };
        let object = match value {
            Value::Null => return Some(None),
            Value::Object(object) if object.len() == 2 => object,
            _ => return None,
        };
        let member = |name: &str, max: u32| {
            let number = u32::try_from(object.get(name)?.as_u64()?).ok()?;
            (1..=max).contains(&number).then_some(number)
        };
        Some(Some(RateLimit {
            per_second: member("per_second", LIMIT_PER_SECOND_MAX)?,
            burst: member("burst", LIMIT_BURST_MAX)?,
        }))
    }

    fn allowed(&self) -> String {
        format!(
            "null (off), or an object such as {{\"per_second\": 5, \"burst\": 20}}, with integers from 1 to \
             {LIMIT_PER_SECOND_MAX} and from 1 to {LIMIT_BURST_MAX}"
        )
    }

    fn show(&self, limit: &Self::Value) -> String {
        limit.map_or_else(|| "off".to_owned(), |limit| limit.to_string())
    }
}

/// Reads the limits.
pub(super) fn limits(check: &mut Check) -> LimitsConfig {
    LimitsConfig {
        address: check.read(keys::LIMITS_ADDRESS),
        user: check.read(keys::LIMITS_USER),
    }
}
