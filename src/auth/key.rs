//! A key that verifies tokens. Its kind is its algorithm.

use std::fmt;

use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

use crate::planted::{Slip, is_planted};

/// An algorithm that signs tokens. Each belongs to one kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on the curve P-256 with SHA-256.
    Es256,
    /// EdDSA on the curve Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: [Self; 4] = [Self::Hs256, Self::Rs256, Self::Es256, Self::EdDsa];

    /// The name that headers of tokens have for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Returns the algorithm of this name. RFC 9864 has a newer name for EdDSA on Ed25519.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "Ed25519" => Some(Self::EdDsa),
            name => Self::ALL.into_iter().find(|it| it.name() == name),
        }
    }
}

/// A key, and the id under which tokens name it.
pub(super) struct VerificationKey {
    pub(super) id: Option<Box<str>>,
    pub(super) material: Material,
}

/// What a key consists of.
pub(super) enum Material {
    /// A secret that the issuer has, too.
    Secret(hmac::Key),
    /// Modulus and exponent, neither with zeros before it.
    Rsa(RsaPublicKeyComponents<Box<[u8]>>),
    /// A point on P-256, uncompressed.
    P256(UnparsedPublicKey<Box<[u8]>>),
    /// A point on Ed25519.
    Ed25519(UnparsedPublicKey<Box<[u8]>>),
}

impl Material {
    pub(super) fn secret(bytes: &[u8]) -> Self {
        Self::Secret(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    pub(super) fn p256(point: Box<[u8]>) -> Self {
        Self::P256(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point))
    }

    pub(super) fn ed25519(point: Box<[u8]>) -> Self {
        Self::Ed25519(UnparsedPublicKey::new(&ED25519, point))
    }
}

impl VerificationKey {
    /// The one algorithm that the key is used with.
    pub(super) fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Secret(_) => Algorithm::Hs256,
            Material::Rsa(_) => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// Returns whether a token that names `algorithm` is verified with this key.
    pub(super) fn is_of(&self, algorithm: Algorithm) -> bool {
        self.algorithm() == algorithm || is_planted(Slip::TrustsTokenAlgorithm)
    }

    /// Returns whether the key has made `signature` of `message`. What a token says of its algorithm has no part in this.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Material::Rsa(key) => {
                let signed = key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature);
                signed.is_ok() || self.is_confused(message, signature)
            }
            Material::P256(key) | Material::Ed25519(key) => key.verify(message, signature).is_ok(),
        }
    }

    /// Returns whether the public key was used as a secret, where that slip is planted.
    fn is_confused(&self, message: &[u8], signature: &[u8]) -> bool {
        let Material::Rsa(key) = &self.material else {
            return false;
        };
        is_planted(Slip::TrustsTokenAlgorithm) && {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, &key.n);
            hmac::verify(&secret, message, signature).is_ok()
        }
    }
}

/// Without the key itself.
impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = self.algorithm().name();
        write!(f, "VerificationKey({algorithm}, {:?})", self.id)
    }
}
