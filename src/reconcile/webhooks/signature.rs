//! Signatures of Standard Webhooks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::types::Timestamp;

/// The beginning of a secret as it is handed out.
const PREFIX: &str = "whsec_";

/// Returns the headers `webhook-id`, `webhook-timestamp` and `webhook-signature` of a message: one signature for each secret, so that the
/// receiver can know either during a rotation.
pub(super) fn signed(
    id: &str,
    at: Timestamp,
    body: &[u8],
    secrets: &[SecretString],
) -> [(&'static str, String); 3] {
    let seconds = at.seconds().to_string();
    let signatures: Vec<_> = secrets
        .iter()
        .filter_map(|secret| signature(secret, id, &seconds, body))
        .collect();
    [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", seconds),
        ("webhook-signature", signatures.join(" ")),
    ]
}

fn signature(secret: &SecretString, id: &str, seconds: &str, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key_of(secret.expose_secret())?).ok()?;
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    Some(format!("v1,{signature}"))
}

/// Returns the key of a secret; `None` where that is not one.
fn key_of(secret: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn the_example_of_the_specification_has_its_signature() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into();
        let (id, at) = (
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            Timestamp::from_seconds(1_614_265_330),
        );
        let body = br#"{"test": 2432232314}"#;
        let [_, _, (_, signature)] = signed(id, at, body, &[secret]);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs() {
        let secrets = ["whsec_AAAA".into(), "whsec_BBBB".into()];
        let [_, _, (_, both)] = signed("m", Timestamp(0), b"[]", &secrets);
        let each = secrets.map(|secret| {
            let [_, _, (_, one)] = signed("m", Timestamp(0), b"[]", &[secret]);
            one
        });
        assert_eq!(both, each.join(" "));
        assert_ne!(each[0], each[1]);
    }
}
