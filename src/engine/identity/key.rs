//! A key that signs tokens.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Algorithm;
use crate::secret::{ExposeSecret, SecretString};

/// A key pair.
pub(in crate::engine) struct SigningKey {
    id: String,
    /// The public half, with what it is for.
    public: Value,
    pair: Pair,
}

enum Pair {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
}

/// What is no key pair, or could not be made.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not a private key of its algorithm")]
pub(super) struct NoKey;

impl SigningKey {
    /// A new private key, as it is stored: PKCS #8 in Base64.
    pub(super) fn generate(algorithm: Algorithm) -> Result<SecretString, NoKey> {
        let encoded = match algorithm {
            Algorithm::Es256 => {
                let random = SystemRandom::new();
                let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
                STANDARD.encode(made.map_err(|_| NoKey)?)
            }
            Algorithm::Rs256 => {
                let made = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| NoKey)?;
                let der: Pkcs8V1Der<'_> = made.as_der().map_err(|_| NoKey)?;
                STANDARD.encode(der.as_ref())
            }
        };
        Ok(encoded.into())
    }

    /// The key that is stored so.
    pub(super) fn new(algorithm: Algorithm, private_key: &SecretString) -> Result<Self, NoKey> {
        let pkcs8 = STANDARD
            .decode(private_key.expose_secret())
            .map_err(|_| NoKey)?;
        let pair = match algorithm {
            Algorithm::Es256 => Pair::Es256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8)
                    .map_err(|_| NoKey)?,
            ),
            Algorithm::Rs256 => Pair::Rs256(RsaKeyPair::from_pkcs8(&pkcs8).map_err(|_| NoKey)?),
        };
        let mut public = pair.public().ok_or(NoKey)?;
        // RFC 7638. What is left out there is what comes now.
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(public.to_string()));
        for (name, value) in [
            ("kid", id.as_str()),
            ("alg", algorithm.as_str()),
            ("use", "sig"),
        ] {
            public[name] = Value::from(value);
        }
        Ok(Self { id, public, pair })
    }

    /// By which a token names it.
    pub(in crate::engine) fn id(&self) -> &str {
        &self.id
    }

    /// The public half as a JSON Web Key.
    pub(super) fn public(&self) -> &Value {
        &self.public
    }

    pub(in crate::engine) fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Es256(_) => Algorithm::Es256,
            Pair::Rs256(_) => Algorithm::Rs256,
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, NoKey> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Es256(pair) => {
                let signature = pair.sign(&random, message).map_err(|_| NoKey)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_| NoKey)?;
                Ok(signature)
            }
        }
    }
}

impl Pair {
    /// What of the public half its id is made of. Names come in the order of the alphabet, as that
    /// asks for.
    fn public(&self) -> Option<Value> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Some(match self {
            Self::Es256(pair) => {
                // An uncompressed point: 4, x, y.
                let (x, y) = pair
                    .public_key()
                    .as_ref()
                    .strip_prefix(&[4])?
                    .split_at_checked(32)?;
                json!({"crv": "P-256", "kty": "EC", "x": text(x), "y": text(y)})
            }
            Self::Rs256(pair) => {
                let (modulus, exponent) = numbers(pair.public_key().as_ref())?;
                json!({"e": text(exponent), "kty": "RSA", "n": text(modulus)})
            }
        })
    }
}

/// The two numbers of an RSA public key in DER (RFC 8017), without leading zeros.
fn numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    let (sequence, _) = element(SEQUENCE, der)?;
    let (modulus, rest) = element(INTEGER, sequence)?;
    let (exponent, _) = element(INTEGER, rest)?;
    let without_zeros = |number: &'_ [u8]| number.iter().position(|byte| *byte != 0);
    Some((
        &modulus[without_zeros(modulus)?..],
        &exponent[without_zeros(exponent)?..],
    ))
}

/// The content of the first element, which is of this kind, and what follows it.
fn element(kind: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    (found == kind).then(|| rest.split_at_checked(length))?
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_key_has_the_same_id_whenever_it_is_opened_and_no_two_are_alike() {
        for algorithm in Algorithm::ALL {
            let [one, other] = [(); 2].map(|()| SigningKey::generate(algorithm).unwrap());
            let opened = SigningKey::new(algorithm, &one).unwrap();
            assert_eq!(opened.id(), SigningKey::new(algorithm, &one).unwrap().id());
            assert_ne!(
                opened.id(),
                SigningKey::new(algorithm, &other).unwrap().id()
            );
            assert_eq!(opened.algorithm(), algorithm);
            assert!(!format!("{opened:?}").contains(one.expose_secret()));
        }
    }

    #[test]
    fn what_is_no_key_of_its_algorithm_is_refused() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        assert!(SigningKey::new(Algorithm::Rs256, &key).is_err());
        for text in ["", "?", "AAAA"] {
            assert!(SigningKey::new(Algorithm::Es256, &text.into()).is_err());
        }
    }

    #[test]
    fn the_numbers_of_a_public_key_are_read_whatever_their_length() {
        let der = [
            0x30, 0x81, 0x08, 0x02, 0x02, 0x00, 0x80, 0x02, 0x02, 0x01, 0x01,
        ];
        assert_eq!(numbers(&der), Some((&[0x80][..], &[0x01, 0x01][..])));
        assert_eq!(numbers(&der[..9]), None);
        assert_eq!(numbers(&[0x30, 0x85, 0, 0, 0, 0, 0]), None);
        assert_eq!(numbers(&[]), None);
    }
}
