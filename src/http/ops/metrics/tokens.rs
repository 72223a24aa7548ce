//! Figures of the tokens of users.

use super::exposition::{Exposition, FamilyKind};
use crate::auth::Authority;

/// There are samples where tokens are looked at.
pub(super) fn write(authority: Option<&Authority>, out: &mut Exposition) {
    let mut refused = out.family(
        "user_tokens_refused_total",
        FamilyKind::Counter,
        "Tokens of users that were refused, by reason.",
    );
    for (reason, count) in authority.into_iter().flat_map(Authority::refused) {
        refused.sample(&[("reason", reason.as_str())], count);
    }
}
