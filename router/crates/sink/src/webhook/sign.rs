//! Signatures as Standard Webhooks 1.0.0 defines them (standard-webhooks/standard-webhooks, `spec/standard-webhooks.md`):
//! HMAC-SHA-256 over `{id}.{timestamp}.{body}`, with the secret's decoded bytes as key.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use forebay_model::{Fault, Secret, SecretRef};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::codes;

/// A signing key, ready for use.
#[derive(Clone)]
pub(super) struct Key(Hmac<Sha256>);

impl Key {
    /// From the secret as it is shown to people; `place` says where it was found.
    pub(super) fn new(secret: &Secret, place: &SecretRef) -> Result<Key, Fault> {
        let bad = |how: &str| {
            Fault::new(codes::WEBHOOK_SECRET, format!("the signing secret in {place} {how}"))
                .fix("make one with: echo whsec_$(openssl rand -base64 32)")
        };
        let text =
            secret.expose().trim().strip_prefix("whsec_").ok_or_else(|| bad("does not begin with whsec_"))?;
        let bytes = STANDARD.decode(text).map_err(|_| bad("is not base64 after whsec_"))?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(bad("has not 24 to 64 bytes"));
        }
        Ok(Key(Hmac::new_from_slice(&bytes).expect("HMAC takes a key of any length")))
    }

    fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        let mut number = itoa::Buffer::new();
        for part in [id.as_bytes(), b".", number.format(timestamp).as_bytes(), b".", body] {
            mac.update(part);
        }
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

/// The header `webhook-signature`: one signature for each key.
pub(super) fn signature(keys: &[Key], id: &str, timestamp: u64, body: &[u8]) -> String {
    let mut header = String::with_capacity(48 * keys.len());
    for key in keys {
        let space = if header.is_empty() { "" } else { " " };
        write!(header, "{space}v1,{}", key.sign(id, timestamp, body)).expect("a string takes everything");
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<Key, Fault> {
        Key::new(&Secret::new(text), &SecretRef::Env("HOOK".into()))
    }

    #[test]
    fn the_known_vector() {
        // the one that Standard Webhooks' own libraries test with
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let of = |keys: &[Key]| {
            signature(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#)
        };
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(of(std::slice::from_ref(&key)), expected);
        let other = self::key(&format!("whsec_{}", STANDARD.encode([7; 64]))).unwrap();
        let both = of(&[other.clone(), key]);
        assert_eq!(both, format!("{} {expected}", of(&[other])), "one by each while secrets are changed");
    }

    #[test]
    fn secrets_of_another_form_are_refused_without_showing_them() {
        let sized = |n| format!("whsec_{}", STANDARD.encode(vec![1; n]));
        for bad in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_***", &sized(23), &sized(65)] {
            let fault = key(bad).err().unwrap();
            assert_eq!(fault.code(), codes::WEBHOOK_SECRET);
            assert!(fault.message().contains("environment variable HOOK"));
            assert!(bad.len() < 8 || !fault.to_string().contains(&bad[6..]), "{fault}");
        }
        assert!(key(&sized(24)).is_ok() && key(&sized(64)).is_ok());
    }
}
