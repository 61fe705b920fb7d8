// Normalize writes values the same way everywhere, column by column: spaces, case, phone numbers, addresses.
//
//	{"columns": {"email":  {"trim": true, "case": "lower"},
//	             "name":   {"collapse": true, "case": "title"},
//	             "phone":  {"phone": {"country": "AU", "invalid": "keep"}},
//	             "street": {"address": {"words": {"St": "Street", "Rd": "Road"}}}},
//	 "missing": "error"}
//
// NULL stays NULL, and what is not in a row image stays out of it. Before and after images are normalized alike.
package main

import (
	"errors"
	"slices"

	forebay "github.com/forebay/forebay/sdk/go"
)

// normalize is the rules, bound to one table's columns.
type normalize struct {
	plan *forebay.Plan
	// steps are in the order of the plan's reads.
	steps []step
}

// A step appends the normalized text. false: there is none, and otherwise says what becomes of the value.
type step struct {
	apply     func(out []byte, text string) ([]byte, bool)
	otherwise Invalid
	// reason is why an image is rejected.
	reason string
}

func open(table *forebay.Table, config Config) (forebay.Transform, error) {
	n := &normalize{plan: new(forebay.Plan)}
	var problems []error
	for _, name := range config.names() {
		path := "columns." + name
		made, err := config.Columns[name].step()
		if err != nil {
			problems = append(problems, forebay.At(path, err))
			continue
		}
		if _, err := table.Column(name); err != nil && config.Missing == Ignore {
			continue
		}
		column, err := table.TextColumn(name)
		if err != nil {
			problems = append(problems, forebay.At(path, err))
			continue
		}
		n.add(column, table.Columns[column], made)
	}
	return n, errors.Join(problems...)
}

func (n *normalize) add(column int, def forebay.ColumnDef, made step) {
	n.steps = append(n.steps, made)
	n.plan.Read(column)
	switch {
	case made.otherwise == Null && !def.Nullable:
		def.Nullable = true
		n.plan.Retype(column, def)
	default:
		n.plan.Replace(column)
	}
	if made.otherwise == Reject {
		n.plan.Filtering()
	}
}

func (n *normalize) Plan() *forebay.Plan { return n.plan }

func (n *normalize) Apply(batch *forebay.Batch) (*forebay.Output, error) {
	var rejects []forebay.Reject
	output, err := batch.MapColumns(func(index int, column forebay.Column) (forebay.Column, error) {
		step := &n.steps[index]
		if step.otherwise == Keep {
			return column.MapText(func(out []byte, text string) []byte {
				if normalized, ok := step.apply(out, text); ok {
					return normalized
				}
				return append(out, text...)
			})
		}
		mapped, rejected := step.column(&column)
		for _, row := range rejected {
			if !slices.ContainsFunc(rejects, func(r forebay.Reject) bool { return r.Row == row }) {
				rejects = append(rejects, forebay.Reject{Row: row, Reason: step.reason})
			}
		}
		return mapped, nil
	})
	if err == nil {
		output.Rejects = rejects
	}
	return output, err
}

// column is another column, in which invalid values are NULL, and the rows in which an invalid value is to be rejected.
func (s *step) column(column *forebay.Column) (forebay.Column, []int) {
	var rejected []int
	rows := column.Len()
	writer := forebay.NewTextWriter(rows, len(column.Data))
	for row := range rows {
		if state := column.State(row); state != forebay.Value {
			writer.Empty(state)
			continue
		}
		text := column.Text(row)
		writer.Try(func(out []byte) ([]byte, bool) {
			normalized, fits := s.apply(out, text)
			if !fits && s.otherwise == Reject {
				rejected = append(rejected, row)
				return append(out, text...), true
			}
			return normalized, fits
		})
	}
	return writer.Column(), rejected
}

func init() {
	forebay.Export(forebay.Info{
		Name:        "normalize",
		Version:     "0.1.0",
		Description: "Writes values the same way everywhere: spaces, case, phone numbers, addresses.",
	}, open)
}

func main() {}
