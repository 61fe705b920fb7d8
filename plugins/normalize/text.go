package main

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// text is the rule's way with texts; each part works on what the one before it appended.
func (r Rule) text(words map[string]string) func(out []byte, text string) ([]byte, bool) {
	return func(out []byte, text string) ([]byte, bool) {
		start := len(out)
		switch {
		case r.Address != nil:
			out = address(out, text, words)
		case r.Collapse:
			out = collapse(out, text)
		case r.Trim:
			out = append(out, strings.TrimSpace(text)...)
		default:
			out = append(out, text...)
		}
		return changeCase(out, start, r.Case), true
	}
}

// collapse appends the words of a text with one space between two.
func collapse(out []byte, text string) []byte {
	start := len(out)
	for word := range strings.FieldsSeq(text) {
		if len(out) > start {
			out = append(out, ' ')
		}
		out = append(out, word...)
	}
	return out
}

// address appends an address: one space between two words, none before a comma and one behind it, and what words says
// for a word.
func address(out []byte, text string, words map[string]string) []byte {
	start := len(out)
	for field := range strings.FieldsSeq(text) {
		for field != "" {
			if field[0] == ',' {
				// a comma without anything before it says nothing
				if len(out) > start && out[len(out)-1] != ',' {
					out = append(out, ',')
				}
				field = field[1:]
				continue
			}
			word := field
			if comma := strings.IndexByte(field, ','); comma >= 0 {
				word = field[:comma]
			}
			field = field[len(word):]
			if len(out) > start {
				out = append(out, ' ')
			}
			if other, known := words[strings.ToLower(strings.TrimSuffix(word, "."))]; known {
				word = other
			}
			out = append(out, word...)
		}
	}
	// nor does one at the end
	if len(out) > start && out[len(out)-1] == ',' {
		out = out[:len(out)-1]
	}
	return out
}

// changeCase changes the letters of out from start on.
func changeCase(out []byte, start int, to Case) []byte {
	if to == AsItIs {
		return out
	}
	inWord := false
	for i := start; i < len(out); i++ {
		char := out[i]
		if char >= utf8.RuneSelf {
			return changeCaseOfAny(out, start, to)
		}
		letter := 'a' <= char|0x20 && char|0x20 <= 'z'
		switch {
		case letter && (to == Upper || to == Title && !inWord):
			out[i] = char &^ 0x20
		case letter:
			out[i] = char | 0x20
		}
		inWord = continuesWord(rune(char), inWord)
	}
	return out
}

// changeCaseOfAny is for letters of which the other case may be longer. What was changed already comes out the same.
func changeCaseOfAny(out []byte, start int, to Case) []byte {
	text := string(out[start:])
	out = out[:start]
	switch to {
	case Upper:
		return append(out, strings.ToUpper(text)...)
	case Lower:
		return append(out, strings.ToLower(text)...)
	}
	inWord := false
	for _, char := range text {
		changed := unicode.ToLower(char)
		if !inWord {
			changed = unicode.ToTitle(char)
		}
		out = utf8.AppendRune(out, changed)
		inWord = continuesWord(char, inWord)
	}
	return out
}

// continuesWord says whether the next letter is within a word: behind letters, digits, and apostrophes in it.
func continuesWord(char rune, inWord bool) bool {
	return unicode.IsLetter(char) || unicode.IsDigit(char) || unicode.IsMark(char) ||
		inWord && (char == '\'' || char == '’')
}
