//! The words for the reasons for which the token of a user is refused.

use crate::telemetry::TokenRefusal;

/// Returns the message of a reason, and its challenge by RFC 6750. Whoever sent no token is told only what is needed.
pub(super) fn words(reason: TokenRefusal) -> (&'static str, &'static str) {
    macro_rules! invalid {
        ($why:literal) => {
            (
                concat!("The token is not accepted: ", $why),
                concat!(
                    "Bearer error=\"invalid_token\", error_description=\"",
                    $why,
                    "\""
                ),
            )
        };
    }
    match reason {
        TokenRefusal::Missing => (
            "This needs the token of the user, in the header Authorization: Bearer",
            "Bearer",
        ),
        TokenRefusal::TooLong => invalid!("it is longer than 8192 bytes"),
        TokenRefusal::Malformed => invalid!("it is no token of a user"),
        TokenRefusal::Critical => invalid!("it has extensions that are not known here"),
        TokenRefusal::Algorithm => invalid!("no key is of its algorithm"),
        TokenRefusal::UnknownKey => invalid!("its key is not known here"),
        TokenRefusal::Signature => invalid!("its signature is wrong"),
        TokenRefusal::Claims => invalid!("it lacks a claim, or has one of a wrong type"),
        TokenRefusal::Expired => invalid!("it has expired"),
        TokenRefusal::NotYetValid => invalid!("it is not valid yet"),
        TokenRefusal::Issuer => invalid!("it is of another issuer"),
        TokenRefusal::Audience => invalid!("it is for another audience"),
        TokenRefusal::Session => invalid!("a session cannot be exchanged again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::USER_TOKEN_BYTES_MAX;

    #[test]
    fn challenges_are_those_of_rfc_6750() {
        for &reason in TokenRefusal::ALL {
            let (message, challenge) = words(reason);
            assert!(!message.contains('"'), "{message}");
            let is_bare = challenge == "Bearer";
            assert_eq!(is_bare, reason == TokenRefusal::Missing, "{challenge}");
            let quotes = challenge.matches('"').count();
            assert_eq!(quotes, if is_bare { 0 } else { 4 }, "{challenge}");
        }
        let (message, _) = words(TokenRefusal::TooLong);
        assert!(message.contains(&USER_TOKEN_BYTES_MAX.to_string()));
    }
}
