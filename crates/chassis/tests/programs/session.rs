//! Flask's session cookie, read and written: both sides know one secret, so a visitor keeps the session while routes move.
//!
//! The cookie is `PAYLOAD.TIME.SIGNATURE`, each in base64 for URLs (itsdangerous 2, Flask 3): the payload is JSON, with a
//! dot before it where it is compressed; the key is made of the secret and a salt. The values of a session have to be plain
//! JSON: what Flask tags beyond that (dates, tuples, bytes) is left to Python.

use std::{
    io::Read,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha1::Sha1;

/// 31 days: Flask's `PERMANENT_SESSION_LIFETIME`.
const LIFETIME: u64 = 31 * 24 * 60 * 60;
/// 64 KiB: a cookie holds 4 KiB, and what it unpacks to is bounded here.
const LARGEST: u64 = 64 * 1024;

/// Signs and checks sessions.
#[derive(Clone)]
pub(crate) struct Sessions {
    key: Vec<u8>,
}

impl Sessions {
    /// `secret` is Flask's `SECRET_KEY`.
    pub(crate) fn new(secret: &str) -> Self {
        Self { key: sign(secret.as_bytes(), b"cookie-session").finalize().into_bytes().to_vec() }
    }

    /// The session in a `Cookie` header; an empty one where there is none that is whole, young and ours.
    pub(crate) fn read(&self, cookies: &str) -> Map<String, Value> {
        let mut pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == "session").and_then(|(_, cookie)| self.open(cookie)).unwrap_or_default()
    }

    fn open(&self, cookie: &str) -> Option<Map<String, Value>> {
        let (signed, signature) = cookie.rsplit_once('.')?;
        sign(&self.key, signed.as_bytes()).verify_slice(&BASE64.decode(signature).ok()?).ok()?;
        let (payload, time) = signed.rsplit_once('.')?;
        let time = BASE64.decode(time).ok()?.iter().fold(0, |time, byte| time << 8 | u64::from(*byte));
        if now().saturating_sub(time) > LIFETIME {
            return None;
        }
        let json = match payload.strip_prefix('.') {
            None => BASE64.decode(payload).ok()?,
            Some(packed) => {
                let mut json = Vec::new();
                let packed = BASE64.decode(packed).ok()?;
                flate2::read::ZlibDecoder::new(&*packed).take(LARGEST).read_to_end(&mut json).ok()?;
                json
            }
        };
        serde_json::from_slice(&json).ok()
    }

    /// A `Set-Cookie` header with `session`, as Flask's own.
    pub(crate) fn write(&self, session: &Map<String, Value>) -> String {
        let payload = BASE64.encode(serde_json::to_vec(session).expect("a JSON object is JSON"));
        let time = now().to_be_bytes();
        let time = &time[time.iter().position(|byte| *byte > 0).unwrap_or(7)..];
        let signed = format!("{payload}.{}", BASE64.encode(time));
        let signature = BASE64.encode(sign(&self.key, signed.as_bytes()).finalize().into_bytes());
        format!("session={signed}.{signature}; HttpOnly; Path=/")
    }
}

fn sign(key: &[u8], text: &[u8]) -> Hmac<Sha1> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("a key may have any length");
    mac.update(text);
    mac
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}
