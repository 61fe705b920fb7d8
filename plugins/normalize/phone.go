package main

import (
	"strings"

	forebay "github.com/forebay/forebay/sdk/go"
)

// A country's way of dialling (ITU-T E.164 and its national numbering plans).
type country struct {
	// code is the country code.
	code string
	// trunk is dialled before a national number, and left out behind the country code.
	trunk string
	// abroad is dialled before a country code.
	abroad string
}

var countries = map[string]country{
	"AT": {"43", "0", "00"}, "AU": {"61", "0", "0011"}, "BE": {"32", "0", "00"}, "BR": {"55", "0", "00"},
	"CA": {"1", "1", "011"}, "CH": {"41", "0", "00"}, "CN": {"86", "0", "00"}, "CZ": {"420", "", "00"},
	"DE": {"49", "0", "00"}, "DK": {"45", "", "00"}, "ES": {"34", "", "00"}, "FI": {"358", "0", "00"},
	"FR": {"33", "0", "00"}, "GB": {"44", "0", "00"}, "GR": {"30", "", "00"}, "HK": {"852", "", "001"},
	"ID": {"62", "0", "00"}, "IE": {"353", "0", "00"}, "IL": {"972", "0", "00"}, "IN": {"91", "0", "00"},
	"IT": {"39", "", "00"}, "JP": {"81", "0", "010"}, "KR": {"82", "0", "00"}, "MX": {"52", "", "00"},
	"MY": {"60", "0", "00"}, "NL": {"31", "0", "00"}, "NO": {"47", "", "00"}, "NZ": {"64", "0", "00"},
	"PH": {"63", "0", "00"}, "PL": {"48", "", "00"}, "PT": {"351", "", "00"}, "SE": {"46", "0", "00"},
	"SG": {"65", "", "000"}, "TH": {"66", "0", "00"}, "TR": {"90", "0", "00"}, "TW": {"886", "0", "00"},
	"UA": {"380", "0", "00"}, "US": {"1", "1", "011"}, "VN": {"84", "0", "00"}, "ZA": {"27", "0", "00"},
}

// How many digits a number has, with its country code.
const (
	fewest = 7
	most   = 15
)

func (p *Phone) step() (step, error) {
	from, known := countries[p.Country]
	if !known {
		return step{}, forebay.BadConfig("phone.country", "not a country that is known here: two capital letters, as `AU`")
	}
	return step{apply: from.append, otherwise: p.Invalid, reason: "not a phone number"}, nil
}

// append appends a phone number as E.164 writes it; false if the text is none.
func (c country) append(out []byte, text string) ([]byte, bool) {
	text = strings.TrimSpace(text)
	text = strings.TrimPrefix(text, "tel:")
	international := strings.HasPrefix(text, "+")
	text = strings.TrimPrefix(text, "+")
	start := len(out)
	var digits [most + 5]byte // room for what is dialled before the number
	n := 0
	for i := 0; i < len(text); i++ {
		switch char := text[i]; {
		case '0' <= char && char <= '9':
			if n == len(digits) {
				return out, false
			}
			digits[n] = char
			n++
		case international && strings.HasPrefix(text[i:], "(0)"):
			// the trunk prefix, as in +44 (0)20
			i += len("(0)") - 1
		case !strings.ContainsRune(" \t-./()", rune(char)):
			return out, false
		}
	}
	number := string(digits[:n])
	if !international {
		if abroad, is := strings.CutPrefix(number, c.abroad); is {
			number, international = abroad, true
		}
	}
	out = append(out, '+')
	if !international {
		out = append(out, c.code...)
		number = strings.TrimPrefix(number, c.trunk)
	}
	out = append(out, number...)
	if length := len(out) - start - 1; length < fewest || length > most || out[start+1] == '0' {
		return out[:start], false
	}
	return out, true
}
