//! Who asks: the tokens of users (JWT), and the sessions that a token is exchanged for.
//!
//! **Invariants.** The algorithm belongs to the key: what a token says of its algorithm chooses among the keys, and
//! never how a key is used. Nothing of a token's claims is decoded before its signature is verified. A claim of another
//! type than it must have refuses the token, as one does that is missing and must be there.

mod authority;
mod claims;
mod key;
mod key_set;
mod session;
mod token;

pub use authority::{Authority, AuthorityOptions, UserSession};
pub use claims::{ClaimRules, Claims, Grants};
pub use key::Algorithm;
pub use key_set::{KeySet, KeySetError};
pub use session::SessionKeys;
pub use token::verify;

#[cfg(test)]
mod tests;
