//! One key of an issuer, and what it verifies. The algorithm is the key's, never the token's: RFC 8725, section 3.1.
//!
//! Next: [`mod@crate::upstream`].

use std::{borrow::Cow, time::Duration};

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde::Deserialize as _;
use serde_json::{Map, Value};

use super::OidcSettings;

/// What every token must say: RFC 9068, section 2.2, without what not all issuers write.
const REQUIRED: [&str; 4] = ["aud", "exp", "iss", "sub"];

pub(super) struct SigningKey {
    pub(super) id: String,
    verifier: DecodingKey,
    validation: Validation,
    issuer: String,
}

impl SigningKey {
    /// None for a key without an id, of an unknown kind, for encryption, or symmetric: an issuer publishes none of those.
    pub(super) fn read(published: &Value, settings: &OidcSettings) -> Option<Self> {
        let jwk = Jwk::deserialize(published).ok()?;
        if jwk.common.public_key_use == Some(PublicKeyUse::Encryption) {
            return None;
        }
        let mut validation = Validation::new(algorithm(&jwk)?);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&settings.audiences);
        validation.set_required_spec_claims(&REQUIRED);
        validation.validate_nbf = true;
        validation.leeway = settings.leeway.as_secs();
        let verifier = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: jwk.common.key_id?, verifier, validation, issuer: settings.issuer.clone() })
    }

    /// The claims of a token that this key has signed and that holds now.
    pub(super) fn verify(&self, token: &str) -> Result<Map<String, Value>, Cow<'static, str>> {
        let verified = jsonwebtoken::decode::<Map<String, Value>>(token, &self.verifier, &self.validation);
        let claims = verified.map_err(|error| reason(&error))?.claims;
        // The crate takes a list of issuers, too; RFC 7519, section 4.1.1, has one.
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err("another issuer".into());
        }
        let latest = Duration::from_secs(jsonwebtoken::get_current_timestamp() + self.validation.leeway).as_secs_f64();
        match claims.get("iat") {
            Some(issued) if issued.as_f64().is_none_or(|issued| issued > latest) => Err("issued in the future".into()),
            _ => Ok(claims),
        }
    }
}

/// For the log. Errors of JSON may repeat a claim.
fn reason(error: &jsonwebtoken::errors::Error) -> Cow<'static, str> {
    match error.kind() {
        ErrorKind::Json(_) | ErrorKind::Base64(_) | ErrorKind::Utf8(_) => "the token cannot be read".into(),
        _ => error.to_string().into(),
    }
}

/// The algorithm that the key names, or the usual one of its kind: not all issuers name one.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let usual = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => Algorithm::ES256,
            EllipticCurve::P384 => Algorithm::ES384,
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return None,
    };
    match jwk.common.key_algorithm {
        None => Some(usual),
        Some(named) => Algorithm::try_from(named).ok().filter(|named| named.family() == usual.family()),
    }
}
