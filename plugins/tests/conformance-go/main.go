// Conformance does what plugins do, one thing at a time, for the tests that hold the SDKs to the same results: the guest
// of the same name in Rust, ../conformance, gives the same answers.
package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"time"
	"unicode/utf8"
	"unsafe"

	forebay "github.com/forebay/forebay/sdk/go"
)

// config is {"do": "mask"}.
type config struct {
	Do string `json:"do" forebay:"required"`
}

// poison is the text that the behaviours on single images wait for.
const poison = "poison"

// conformance works on tables whose second column is a text.
type conformance struct {
	does string
	// texts are the table's text columns.
	texts []int
}

func open(table *forebay.Table, config config) (forebay.Transform, error) {
	c := conformance{does: config.Do}
	for i, def := range table.Columns {
		if def.Logical == forebay.Text {
			c.texts = append(c.texts, i)
		}
	}
	switch config.Do {
	case "identity", "columns", "drop", "mask", "append", "reject", "trap", "formatted_trap", "data_error", "loop",
		"grow", "route", "stamps", "kinds", "hash", "fast_hash", "null_in_retyped",
		"surroundings":
		return c, nil
	case "config_error":
		return nil, forebay.BadConfig("do", "no such thing")
	case "schema_error":
		_, err := table.TextColumn("id")
		return nil, forebay.At("do", err)
	default:
		return nil, forebay.BadConfig("do", "unknown variant")
	}
}

func (c conformance) Plan() *forebay.Plan {
	plan := new(forebay.Plan)
	switch c.does {
	case "columns":
		return plan.Rename(0, "key").Nullify(1)
	case "drop", "reject":
		return plan.Read(1).Filtering()
	case "mask":
		for _, column := range c.texts {
			plan.Read(column).Replace(column)
		}
		return plan
	case "append":
		return plan.Read(1).Append(forebay.ColumnDef{
			Name: "length", Logical: forebay.Integer, Layout: forebay.LayoutUnsigned, Nullable: true,
			NativeType: "int unsigned",
		})
	case "route":
		return plan.Read(1).Routing()
	case "stamps":
		return plan.Stamp(forebay.Op, "op").
			Constant(forebay.TextDef("country", 2, false), forebay.TextCell("AU")).
			Stamp(forebay.Offset, "offset").KeepingDeleted("gone")
	case "kinds":
		return plan.Append(forebay.TextDef("kind", 1, false)).WithKinds()
	case "hash", "fast_hash":
		return plan.Read(1).Retype(1, forebay.TextDef("note", 8, true))
	case "null_in_retyped":
		return plan.Read(1).Retype(1, forebay.TextDef("note", 64, false))
	default:
		return plan.Read(1).Replace(1)
	}
}

func (c conformance) Apply(batch *forebay.Batch) (*forebay.Output, error) {
	switch c.does {
	case "drop":
		keep := make([]bool, batch.Rows)
		for row := range keep {
			keep[row] = !isPoison(batch, row)
		}
		return &forebay.Output{Keep: keep}, nil
	case "mask":
		return batch.MapColumns(func(_ int, column forebay.Column) (forebay.Column, error) {
			return column.MapText(keepFirst)
		})
	case "append":
		note := &batch.Columns[0]
		lengths := forebay.Column{States: note.States, Layout: forebay.LayoutUnsigned}
		lengths.Unsigned = make([]uint64, batch.Rows)
		for row := range lengths.Unsigned {
			lengths.Unsigned[row] = uint64(len(note.Bytes(row)))
		}
		return &forebay.Output{Columns: []*forebay.Column{&lengths}}, nil
	case "reject":
		output := &forebay.Output{}
		for row := range batch.Rows {
			if isPoison(batch, row) {
				output.Rejects = append(output.Rejects, forebay.Reject{Row: row, Reason: "not this one"})
			}
		}
		return output, nil
	case "trap":
		panic("apply goes wrong")
	case "formatted_trap":
		panic("the note is " + batch.Columns[0].Text(0))
	case "data_error":
		return nil, errData
	case "surroundings":
		return nil, surroundings()
	case "loop":
		for sink = 0; ; sink++ {
		}
	case "grow":
		for {
			hoard = append(hoard, make([]byte, 1<<20))
		}
	case "route":
		note := &batch.Columns[0]
		places := forebay.NewTextWriter(batch.Rows, batch.Rows*4)
		for row := range batch.Rows {
			if note.State(row) == forebay.Value && len(note.Bytes(row)) > 2 {
				places.Value("long")
			} else {
				places.Empty(forebay.Null)
			}
		}
		column := places.Column()
		return &forebay.Output{Routing: &column}, nil
	case "kinds":
		kinds := forebay.NewTextWriter(batch.Rows, batch.Rows)
		for _, kind := range batch.Kinds {
			kinds.Append(func(out []byte) []byte { return append(out, '0'+kind) })
		}
		column := kinds.Column()
		return &forebay.Output{Columns: []*forebay.Column{&column}}, nil
	case "hash":
		hash := forebay.NewKeyedHash([]byte("key"), forebay.Hex, 8)
		return batch.MapColumns(func(_ int, column forebay.Column) (forebay.Column, error) {
			return column.MapText(func(out []byte, text string) []byte { return hash.Append(out, []byte(text)) })
		})
	case "fast_hash":
		hash := forebay.NewFastHash([]byte("key"), forebay.Hex, 8)
		return batch.MapColumns(func(_ int, column forebay.Column) (forebay.Column, error) {
			return column.MapText(func(out []byte, text string) []byte { return hash.Append(out, []byte(text)) })
		})
	case "null_in_retyped":
		return batch.MapColumns(func(_ int, column forebay.Column) (forebay.Column, error) { return column, nil })
	default:
		return &forebay.Output{Columns: []*forebay.Column{nil}}, nil
	}
}

// surroundings is what Go's runtime finds around it: nothing, and the same each time.
func surroundings() error {
	var random [4]byte
	_, _ = rand.Read(random[:])
	_, file := os.ReadFile("/etc/passwd")
	from := time.Now()
	time.Sleep(time.Hour)
	return fmt.Errorf("%d arguments, %d variables, a file: %t, year %d, an hour asleep: %t, random %x",
		len(os.Args), len(os.Environ()), file == nil, from.UTC().Year(), time.Since(from) >= time.Hour, random)
}

type dataError struct{}

func (dataError) Error() string { return "cannot do this" }

var (
	errData dataError
	sink    uint64
	hoard   [][]byte
)

func isPoison(batch *forebay.Batch, row int) bool {
	note := &batch.Columns[0]
	return note.State(row) == forebay.Value && note.Text(row) == poison
}

// keepFirst keeps the first character; each of the others becomes a star.
func keepFirst(out []byte, text string) []byte {
	if text == "" {
		return out
	}
	first, others := 1, 0
	if isASCII(text) {
		others = len(text) - 1
	} else {
		_, first = utf8.DecodeRuneInString(text)
		others = utf8.RuneCountInString(text[first:])
	}
	out = append(out, text[:first]...)
	for ; others > len(stars); others -= len(stars) {
		out = append(out, stars...)
	}
	return append(out, stars[:others]...)
}

const stars = "****************************************************************"

// isASCII looks at eight bytes at a time.
func isASCII(text string) bool {
	bits, at := uint64(0), unsafe.Pointer(unsafe.StringData(text))
	n := len(text)
	for ; n >= 8; n -= 8 {
		bits |= *(*uint64)(at)
		at = unsafe.Add(at, 8)
	}
	for _, char := range []byte(text[len(text)-n:]) {
		bits |= uint64(char)
	}
	return bits&0x8080808080808080 == 0
}

func init() {
	forebay.Export(forebay.Info{
		Name:        "conformance",
		Version:     "0.1.0",
		Description: "Does what plugins do, one thing at a time, for the tests.",
		Secrets:     []string{"key"},
	}, open)
}

func main() {}
