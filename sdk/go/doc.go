// Package forebay writes Forebay transform plugins in Go: implement [Transform], call [Export] from an init function,
// and build a component with `forebay plugin build`.
//
//	package main
//
//	import (
//		"strings"
//
//		forebay "github.com/forebay/forebay/sdk/go"
//	)
//
//	type config struct {
//		Column string `json:"column" forebay:"required"`
//	}
//
//	// upper writes one text column in capitals.
//	type upper struct{ column int }
//
//	func open(table *forebay.Table, config config) (forebay.Transform, error) {
//		column, err := table.TextColumn(config.Column)
//		return upper{column}, forebay.At("column", err)
//	}
//
//	func (u upper) Plan() *forebay.Plan {
//		return new(forebay.Plan).Read(u.column).Replace(u.column)
//	}
//
//	func (u upper) Apply(batch *forebay.Batch) (*forebay.Output, error) {
//		return batch.MapColumns(func(_ int, column forebay.Column) (forebay.Column, error) {
//			return column.MapText(func(out []byte, text string) []byte {
//				return append(out, strings.ToUpper(text)...)
//			})
//		})
//	}
//
//	func init() {
//		forebay.Export(forebay.Info{
//			Name:        "upper",
//			Version:     "0.1.0",
//			Description: "Writes a text column in capitals.",
//		}, open)
//	}
//
//	func main() {} // never called
//
// # What a plugin may rely on
//
// A plugin sees whole columns of a batch of row images, and only those that its plan reads. The same batch must always
// give the same output: the router runs a batch again after a crash, on another instance, or cut in another place.
// There are no files, no network, no environment and no arguments. time.Now starts at a fixed time and counts,
// crypto/rand is a fixed sequence. Do not start goroutines: there is one thread, nothing of them runs between two
// calls, and a panic in one cannot be kept from telling row values.
//
// A column's cells lie in one piece of memory that is seen without a copy. They stay valid for as long as something
// refers to them, and are never to be written to.
//
// # Panics
//
// A panic ends the instance; the router makes another and tries the batch once more. Its place is told to the operator, and
// its text where that is a literal. A text that was put together at run time is left out, since it may hold a row's
// value.
//
// Native tests need no WebAssembly: see the package plugintest.
package forebay
