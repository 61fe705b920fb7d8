//! Standard Webhooks 1.0.0 signatures, checked as a receiver would (specification: standard-webhooks/standard-webhooks,
//! spec/standard-webhooks.md). Written apart from the sender's code, so that one proves the other.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How far the sender's clock may be off, as the specification advises.
const TOLERANCE: Duration = Duration::from_secs(300);

/// The key behind a `whsec_...` secret.
#[derive(Clone)]
pub struct Key(Vec<u8>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// Reads `whsec_` and the base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(secret: &str) -> Result<Self> {
        let encoded = secret.strip_prefix("whsec_").context("a webhook secret starts with whsec_")?;
        let bytes = BASE64_STANDARD.decode(encoded).context("a webhook secret is base64 after whsec_")?;
        ensure!(
            (24..=64).contains(&bytes.len()),
            "a webhook secret has 24 to 64 bytes, this one has {}",
            bytes.len()
        );
        Ok(Self(bytes))
    }

    /// The signature header of one request, for a receiver's own tests.
    pub fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        format!("v1,{}", BASE64_STANDARD.encode(self.mac(id, timestamp, body).finalize().into_bytes()))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }

    /// Checks one request; `signatures` is the whole header, one or more `v1,BASE64` separated by spaces.
    ///
    /// # Errors
    /// Says what is wrong with the id, the time or the signature.
    pub fn verify(&self, id: &str, timestamp: &str, signatures: &str, body: &[u8]) -> Result<()> {
        self.verify_at(id, timestamp, signatures, body, SystemTime::now())
    }

    fn verify_at(
        &self,
        id: &str,
        timestamp: &str,
        signatures: &str,
        body: &[u8],
        now: SystemTime,
    ) -> Result<()> {
        ensure!(!id.is_empty() && !id.contains('.'), "webhook-id is empty or holds a dot");
        let sent = UNIX_EPOCH
            + Duration::from_secs(timestamp.parse().context("webhook-timestamp is not in seconds")?);
        let off = now.duration_since(sent).unwrap_or_else(|e| e.duration());
        ensure!(off <= TOLERANCE, "webhook-timestamp is {} s off", off.as_secs());
        for signature in signatures.split(' ').filter_map(|s| s.strip_prefix("v1,")) {
            let Ok(signature) = BASE64_STANDARD.decode(signature) else { continue };
            // Compares in constant time.
            if self.mac(id, timestamp, body).verify_slice(&signature).is_ok() {
                return Ok(());
            }
        }
        bail!("no v1 signature fits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example that the specification's libraries test with.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIME: &str = "1614265330";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn verify(id: &str, signatures: &str, body: &[u8], late: u64) -> Result<()> {
        let now = UNIX_EPOCH + Duration::from_secs(1_614_265_330 + late);
        Key::parse(SECRET)?.verify_at(id, TIME, signatures, body, now)
    }

    #[test]
    fn accepts_the_published_example() {
        verify(ID, SIGNATURE, BODY, 0).unwrap();
        assert_eq!(Key::parse(SECRET).unwrap().sign(ID, TIME, BODY), SIGNATURE);
        verify(ID, &format!("v1a,AAAA v1,AAAA {SIGNATURE}"), BODY, 300).unwrap();
    }

    #[test]
    fn refuses_what_does_not_fit() {
        verify(ID, SIGNATURE, br#"{"test": 2432232315}"#, 0).unwrap_err();
        verify("msg_other", SIGNATURE, BODY, 0).unwrap_err();
        verify(ID, SIGNATURE, BODY, 301).unwrap_err();
        verify(ID, "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", BODY, 0).unwrap_err();
        verify("msg.with.dots", SIGNATURE, BODY, 0).unwrap_err();
        Key::parse("whsec_AAAA").unwrap_err();
        Key::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap_err();
    }
}
