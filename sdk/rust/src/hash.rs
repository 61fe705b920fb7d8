//! Keyed hashes (HMAC-SHA-256): the same value gives the same text everywhere, and nobody without the key can try
//! values out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

/// How a hash is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Lower-case hexadecimal: 64 characters.
    #[default]
    Hex,
    /// Standard base64 with padding: 44 characters.
    Base64,
}

impl Encoding {
    /// How many characters a whole hash takes.
    pub fn full_length(self) -> usize {
        match self {
            Encoding::Hex => 64,
            Encoding::Base64 => 44,
        }
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
        let hash = mac.finalize().into_bytes();
        let mut text = [0; 64];
        match self.encoding {
            Encoding::Hex => {
                for (pair, byte) in text.chunks_exact_mut(2).zip(&hash) {
                    pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
                    pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
                }
            }
            Encoding::Base64 => {
                STANDARD.encode_slice(hash, &mut text).expect("32 bytes take 44 characters");
            }
        }
        out.push_str(std::str::from_utf8(&text[..self.length]).expect("both encodings are ASCII"));
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
}
