// A Forebay plugin that masks text columns: of each value, only the last characters stay.
package main

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	forebay "github.com/forebay/forebay/sdk/go"
)

// config is what stands at `config` in a route's transform.
type config struct {
	// Columns are the columns to mask.
	Columns []string `json:"columns" forebay:"required"`
	// Keep says how many characters stay; 4 if it is left out.
	Keep *int `json:"keep"`
}

// mask is the configuration, bound to one version of one table.
type mask struct {
	columns []int
	keep    int
}

// open looks up what the configuration names. An error stops the route before anything is delivered.
func open(table *forebay.Table, config config) (forebay.Transform, error) {
	m, problems := mask{keep: 4}, []error(nil)
	for n, name := range config.Columns {
		path := fmt.Sprintf("columns[%d]", n)
		column, err := table.TextColumn(name)
		if err == nil && slices.Contains(m.columns, column) {
			err = forebay.BadConfig("", "`%s` is named twice", name)
		}
		problems = append(problems, forebay.At(path, err))
		m.columns = append(m.columns, column)
	}
	if config.Keep != nil {
		m.keep = *config.Keep
	}
	if m.keep < 0 {
		problems = append(problems, forebay.BadConfig("keep", "it cannot be below 0"))
	}
	return m, errors.Join(problems...)
}

// Plan says once which columns are wanted and what becomes of them. Others never leave the router.
func (m mask) Plan() *forebay.Plan {
	plan := new(forebay.Plan)
	for _, column := range m.columns {
		plan.Read(column).Replace(column)
	}
	return plan
}

// Apply makes the new cells, a column at a time. NULL stays NULL.
func (m mask) Apply(batch *forebay.Batch) (*forebay.Output, error) {
	return batch.MapColumns(func(_ int, column forebay.Column) (forebay.Column, error) {
		return column.MapText(func(out []byte, text string) []byte { return keepLast(out, text, m.keep) })
	})
}

// keepLast appends the text to out, its last characters as they are and a * for each of the others.
func keepLast(out []byte, text string, keep int) []byte {
	masked := utf8.RuneCountInString(text) - keep
	for _, c := range text {
		if masked > 0 {
			c = '*'
		}
		masked--
		out = utf8.AppendRune(out, c)
	}
	return out
}

func init() {
	forebay.Export(forebay.Info{
		Name:        "plugin-template",
		Version:     "0.1.0",
		Description: "Masks text columns: of each value, only the last characters stay.",
	}, open)
}

func main() {} // never called
