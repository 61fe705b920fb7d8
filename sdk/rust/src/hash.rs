//! Keyed hashes: the same value gives the same text everywhere, and nobody without the key can try values out.
//!
//! [`KeyedHash`] is HMAC-SHA-256, which others can compute in SQL and in every language. [`FastHash`] is SipHash, a small part of
//! the work: for tokens that are compared with each other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use siphasher::sip128::SipHasher24;

/// How a hash is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Lower-case hexadecimal: 64 characters (of a [`FastHash`]: 32).
    #[default]
    Hex,
    /// Standard base64 with padding: 44 characters (of a [`FastHash`]: 24).
    Base64,
}

impl Encoding {
    /// How many characters a whole [`KeyedHash`] takes.
    pub fn full_length(self) -> usize {
        self.characters(32)
    }

    fn characters(self, bytes: usize) -> usize {
        match self {
            Encoding::Hex => 2 * bytes,
            Encoding::Base64 => bytes.div_ceil(3) * 4,
        }
    }

    /// Appends the first characters of a hash of at most 32 bytes.
    fn write(self, hash: &[u8], length: usize, out: &mut String) {
        let mut text = [0; 64];
        match self {
            Encoding::Hex => {
                for (pair, byte) in text.chunks_exact_mut(2).zip(hash) {
                    pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
                    pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
                }
            }
            Encoding::Base64 => {
                STANDARD.encode_slice(hash, &mut text).expect("32 bytes take 44 characters");
            }
        }
        out.push_str(std::str::from_utf8(&text[..length]).expect("both encodings are ASCII"));
    }
}

/// HMAC-SHA-256 under one key, written as text.
pub struct KeyedHash {
    keyed: Hmac<Sha256>,
    encoding: Encoding,
    length: usize,
}

impl std::fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedHash").field("encoding", &self.encoding).field("length", &self.length).finish()
    }
}

impl KeyedHash {
    /// `length`: how many characters of the encoded text are kept, at most all.
    pub fn new(key: &[u8], encoding: Encoding, length: usize) -> KeyedHash {
        let keyed = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
        KeyedHash { keyed, encoding, length: length.min(encoding.full_length()) }
    }

    /// How many characters a hash has.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Appends the hash of a value.
    pub fn write(&self, value: &[u8], out: &mut String) {
        let mut mac = self.keyed.clone();
        mac.update(value);
        self.encoding.write(&mac.finalize().into_bytes(), self.length, out);
    }
}

/// SipHash-2-4 with 128 bits under one key, written as text. Its 16 bytes of key are the first of the key's SHA-256, so that a
/// key from a configuration may be of any length.
pub struct FastHash {
    keyed: SipHasher24,
    encoding: Encoding,
    length: usize,
}

impl std::fmt::Debug for FastHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FastHash").field("encoding", &self.encoding).field("length", &self.length).finish()
    }
}

impl FastHash {
    /// `length`: how many characters of the encoded text are kept, at most all: 32 in hexadecimal, 24 in base64.
    pub fn new(key: &[u8], encoding: Encoding, length: usize) -> FastHash {
        let hash = Sha256::digest(key);
        let key = hash.first_chunk().expect("SHA-256 has more than 16 bytes");
        FastHash {
            keyed: SipHasher24::new_with_key(key),
            encoding,
            length: length.min(encoding.characters(16)),
        }
    }

    /// How many characters a hash has.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Appends the hash of a value.
    pub fn write(&self, value: &[u8], out: &mut String) {
        self.encoding.write(&self.keyed.hash(value).as_bytes(), self.length, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(encoding: Encoding, length: usize) -> String {
        let mut out = String::from(">");
        KeyedHash::new(b"Jefe", encoding, length).write(b"what do ya want for nothing?", &mut out);
        out
    }

    /// RFC 4231, test case 2.
    #[test]
    fn is_hmac_sha_256() {
        let hex = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hash(Encoding::Hex, 64), format!(">{hex}"));
        assert_eq!(hash(Encoding::Hex, 9), format!(">{}", &hex[..9]));
        assert_eq!(hash(Encoding::Base64, 99), ">W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
    }
    /// The first, second and last of the reference implementation's vectors for one key; the key's way to it is SHA-256's.
    #[test]
    fn is_siphash_2_4_with_128_bits() {
        let key = std::array::from_fn(|n| n as u8);
        let value: [u8; 15] = std::array::from_fn(|n| n as u8);
        for (length, want) in [
            (0, "a3817f04ba25a8e66df67214c7550293"),
            (1, "da87c1d86b99af44347659119b22fc45"),
            (15, "5493e99933b0a8117e08ec0f97cfc3d9"),
        ] {
            let keyed = SipHasher24::new_with_key(&key);
            let mut out = String::new();
            FastHash { keyed, encoding: Encoding::Hex, length: 32 }.write(&value[..length], &mut out);
            assert_eq!(out, want);
        }
        for (encoding, length, want) in [
            (Encoding::Hex, 99, "97d0bfcd31347c7670fe471417a444d0"),
            (Encoding::Hex, 9, "97d0bfcd3"),
            (Encoding::Base64, 99, "l9C/zTE0fHZw/kcUF6RE0A=="),
        ] {
            let mut out = String::new();
            let hash = FastHash::new(b"Jefe", encoding, length);
            hash.write(b"what do ya want for nothing?", &mut out);
            assert_eq!((out.as_str(), hash.length()), (want, want.len()));
        }
    }
}
