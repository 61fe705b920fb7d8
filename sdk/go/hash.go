package forebay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
)

// Encoding is how a hash is written. In a configuration it is "hex" or "base64".
type Encoding uint8

// The encodings.
const (
	// Hex is lower-case hexadecimal: 64 characters (of a FastHash: 32).
	Hex Encoding = iota
	// Base64 is the standard one with padding: 44 characters (of a FastHash: 24).
	Base64
)

// UnmarshalText reads "hex" or "base64".
func (e *Encoding) UnmarshalText(text []byte) error {
	switch string(text) {
	case "hex":
		*e = Hex
	case "base64":
		*e = Base64
	default:
		return BadConfig("", "unknown variant, expected `hex` or `base64`")
	}
	return nil
}

// FullLength is how many characters a whole KeyedHash takes.
func (e Encoding) FullLength() int {
	if e == Base64 {
		return base64.StdEncoding.EncodedLen(sha256.Size)
	}
	return hex.EncodedLen(sha256.Size)
}

// A KeyedHash is HMAC-SHA-256 under one key, written as text: the same value gives the same text everywhere, and nobody
// without the key can try values out.
type KeyedHash struct {
	mac      hash.Hash
	encoding Encoding
	length   int
	sum      [sha256.Size]byte
	text     [64]byte
}

// NewKeyedHash keeps length characters of the encoded text, at most all.
func NewKeyedHash(key []byte, encoding Encoding, length int) *KeyedHash {
	return &KeyedHash{
		mac: hmac.New(sha256.New, key), encoding: encoding, length: min(length, encoding.FullLength()),
	}
}

// Length is how many characters a hash has.
func (h *KeyedHash) Length() int { return h.length }

// Append appends the hash of a value.
func (h *KeyedHash) Append(out, value []byte) []byte {
	h.mac.Reset()
	h.mac.Write(value)
	sum := h.mac.Sum(h.sum[:0])
	if h.encoding == Base64 {
		base64.StdEncoding.Encode(h.text[:], sum)
	} else {
		hex.Encode(h.text[:], sum)
	}
	return append(out, h.text[:h.length]...)
}

// String tells nothing of the key.
func (h *KeyedHash) String() string { return fmt.Sprintf("a keyed hash of %d characters", h.length) }
