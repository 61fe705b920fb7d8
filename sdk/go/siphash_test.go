package forebay

import (
	"encoding/hex"
	"testing"
)

// The first, second, third and 16th of the reference implementation's vectors.
func TestSipHash(t *testing.T) {
	value := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}
	for length, want := range map[int]string{
		0:  "a3817f04ba25a8e66df67214c7550293",
		1:  "da87c1d86b99af44347659119b22fc45",
		2:  "8177228da4a45dc7fca38bdef60affe4",
		15: "5493e99933b0a8117e08ec0f97cfc3d9",
	} {
		sum := sipHash(0x0706050403020100, 0x0f0e0d0c0b0a0908, value[:length])
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("of %d bytes: %s, want %s", length, got, want)
		}
	}
}

// The Rust SDK's test has the same values.
func TestFastHash(t *testing.T) {
	for _, test := range []struct {
		encoding Encoding
		length   int
		want     string
	}{
		{Hex, 99, ">97d0bfcd31347c7670fe471417a444d0"},
		{Hex, 9, ">97d0bfcd3"},
		{Base64, 99, ">l9C/zTE0fHZw/kcUF6RE0A=="},
	} {
		hash := NewFastHash([]byte("Jefe"), test.encoding, test.length)
		got := string(hash.Append([]byte(">"), []byte("what do ya want for nothing?")))
		if got != test.want || hash.Length() != len(got)-1 {
			t.Errorf("%s of %d: %s, want %s", hash, hash.Length(), got, test.want)
		}
	}
}
