package forebay

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
)

// A FastHash is SipHash-2-4 with 128 bits under one key, written as text: a small part of a KeyedHash's work, for tokens that
// are compared with each other. Its 16 bytes of key are the first of the key's SHA-256, so that a key from a configuration may
// be of any length.
type FastHash struct {
	k0, k1   uint64
	encoding Encoding
	length   int
	text     [2 * sipSize]byte
}

// sipSize is how many bytes a hash has.
const sipSize = 16

// NewFastHash keeps length characters of the encoded text, at most all: 32 in hexadecimal, 24 in base64.
func NewFastHash(key []byte, encoding Encoding, length int) *FastHash {
	full := hex.EncodedLen(sipSize)
	if encoding == Base64 {
		full = base64.StdEncoding.EncodedLen(sipSize)
	}
	sum := sha256.Sum256(key)
	return &FastHash{
		k0: binary.LittleEndian.Uint64(sum[:8]), k1: binary.LittleEndian.Uint64(sum[8:16]),
		encoding: encoding, length: min(length, full),
	}
}

// Length is how many characters a hash has.
func (h *FastHash) Length() int { return h.length }

// Append appends the hash of a value.
func (h *FastHash) Append(out, value []byte) []byte {
	sum := sipHash(h.k0, h.k1, value)
	if h.encoding == Base64 {
		base64.StdEncoding.Encode(h.text[:], sum[:])
	} else {
		hex.Encode(h.text[:], sum[:])
	}
	return append(out, h.text[:h.length]...)
}

// String tells nothing of the key.
func (h *FastHash) String() string { return fmt.Sprintf("a fast hash of %d characters", h.length) }

// sipState is SipHash's state; the names are those of the paper.
type sipState struct{ v0, v1, v2, v3 uint64 }

// sipHash is SipHash-2-4 with 128 bits of output, as its authors' reference implementation has it.
func sipHash(k0, k1 uint64, value []byte) (sum [sipSize]byte) {
	s := sipState{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d ^ 0xee, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	last := uint64(len(value)) << 56
	for ; len(value) >= 8; value = value[8:] {
		s.word(binary.LittleEndian.Uint64(value))
	}
	for i, char := range value {
		last |= uint64(char) << (8 * i)
	}
	s.word(last)
	s.v2 ^= 0xee
	binary.LittleEndian.PutUint64(sum[:8], s.end())
	s.v1 ^= 0xdd
	binary.LittleEndian.PutUint64(sum[8:], s.end())
	return sum
}

// word takes eight bytes in.
func (s *sipState) word(m uint64) {
	s.v3 ^= m
	s.round()
	s.round()
	s.v0 ^= m
}

// end gives eight bytes out.
func (s *sipState) end() uint64 {
	for range 4 {
		s.round()
	}
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

func (s *sipState) round() {
	s.v0 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v2 = bits.RotateLeft64(s.v2, 32)
}
