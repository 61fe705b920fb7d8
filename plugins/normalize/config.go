package main

import (
	"slices"
	"strings"

	forebay "github.com/forebay/forebay/sdk/go"
)

// Config is the route's configuration.
type Config struct {
	// Columns are the rules by column name.
	Columns map[string]Rule `json:"columns" forebay:"required"`
	// Missing is what becomes of a rule whose column the table has not.
	Missing Missing `json:"missing"`
}

func (c *Config) names() []string {
	names := make([]string, 0, len(c.Columns))
	for name := range c.Columns {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// A Rule says how a column's values are written. Phone stands alone; the others go together, in this order.
type Rule struct {
	// Trim takes white space from both ends.
	Trim bool `json:"trim"`
	// Collapse makes one space of each run of white space within, and trims.
	Collapse bool `json:"collapse"`
	// Address is Collapse, with commas set right and words written out or shortened.
	Address *Address `json:"address"`
	// Case changes letters.
	Case Case `json:"case"`
	// Phone writes phone numbers as E.164 does: +61291234567.
	Phone *Phone `json:"phone"`
}

// An Address says how addresses are written.
type Address struct {
	// Words says what to put for a word: {"St": "Street"}. Words are compared without regard to case and a full stop
	// behind them.
	Words map[string]string `json:"words"`
}

// A Phone says how phone numbers are written.
type Phone struct {
	// Country is where numbers without a country code are from: two letters, as AU.
	Country string `json:"country" forebay:"required"`
	// Invalid is what becomes of a value that is no phone number.
	Invalid Invalid `json:"invalid"`
}

// step makes a rule ready.
func (r Rule) step() (step, error) {
	text := r.Trim || r.Collapse || r.Address != nil || r.Case != AsItIs
	switch {
	case r.Phone != nil && text:
		return step{}, forebay.BadConfig("", "phone stands alone: leave out the others")
	case r.Phone != nil:
		return r.Phone.step()
	case !text:
		return step{}, forebay.BadConfig("", "one of trim, collapse, address, case or phone is needed")
	}
	words, err := r.Address.words()
	if err != nil {
		return step{}, err
	}
	return step{apply: r.text(words)}, nil
}

// words are the replacements by lower-case word.
func (a *Address) words() (map[string]string, error) {
	if a == nil {
		return nil, nil
	}
	words := make(map[string]string, len(a.Words))
	for from, to := range a.Words {
		key := strings.ToLower(strings.TrimSuffix(from, "."))
		if key == "" || strings.ContainsAny(key, " \t,") {
			return nil, forebay.BadConfig("address.words", "each key must be one word")
		}
		words[key] = to
	}
	return words, nil
}

// Case is "upper", "lower" or "title".
type Case uint8

// What becomes of letters.
const (
	AsItIs Case = iota
	Upper
	Lower
	Title
)

// UnmarshalText reads a Case.
func (c *Case) UnmarshalText(text []byte) error {
	return variant(c, string(text), map[string]Case{"upper": Upper, "lower": Lower, "title": Title})
}

// Invalid is "keep", "null" or "reject".
type Invalid uint8

// What becomes of a value that cannot be normalized.
const (
	// Keep leaves it as it is.
	Keep Invalid = iota
	// Null puts NULL.
	Null
	// Reject sends the event to the dead letters.
	Reject
)

// UnmarshalText reads an Invalid.
func (i *Invalid) UnmarshalText(text []byte) error {
	return variant(i, string(text), map[string]Invalid{"keep": Keep, "null": Null, "reject": Reject})
}

// Missing is "error" or "ignore".
type Missing uint8

// What becomes of a rule without its column.
const (
	// Error stops the route: a rule that is not applied must not go unnoticed.
	Error Missing = iota
	// Ignore is for routes over tables, or versions of a table, of which only some have the column.
	Ignore
)

// UnmarshalText reads a Missing.
func (m *Missing) UnmarshalText(text []byte) error {
	return variant(m, string(text), map[string]Missing{"error": Error, "ignore": Ignore})
}

func variant[T any](into *T, text string, variants map[string]T) error {
	value, known := variants[text]
	if !known {
		names := make([]string, 0, len(variants))
		for name := range variants {
			names = append(names, "`"+name+"`")
		}
		slices.Sort(names)
		return forebay.BadConfig("", "unknown variant, expected one of %s", strings.Join(names, ", "))
	}
	*into = value
	return nil
}
