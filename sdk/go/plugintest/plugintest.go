// Package plugintest is for a plugin's own tests, natively and without WebAssembly: tables, columns, and a run as the
// router does it.
package plugintest

import (
	"fmt"

	forebay "github.com/forebay/forebay/sdk/go"
)

// Table is shop.customers with these columns, nullable all; the first one is the key.
func Table(columns ...forebay.ColumnDef) *forebay.Table {
	return &forebay.Table{Source: "test", Database: "shop", Name: "customers", Columns: columns, Key: []int{0}}
}

// Column is a nullable column of a kind.
func Column(name string, logical forebay.LogicalType) forebay.ColumnDef {
	def := forebay.ColumnDef{Name: name, Logical: logical, Layout: forebay.LayoutText, Nullable: true}
	switch logical {
	case forebay.Integer:
		def.Layout, def.NativeType = forebay.LayoutSigned, "bigint"
	case forebay.Float:
		def.Layout, def.NativeType = forebay.LayoutFloat, "double"
	case forebay.Binary:
		def.Layout, def.NativeType = forebay.LayoutBytes, "blob"
	case forebay.Decimal:
		def.NativeType = "decimal(10,2)"
	case forebay.Text:
		def.NativeType = "varchar(64)"
	case forebay.JSON:
		def.NativeType = "json"
	case forebay.Date:
		def.NativeType = "date"
	case forebay.Time:
		def.NativeType = "time"
	case forebay.DateTime:
		def.NativeType = "datetime"
	case forebay.Timestamp:
		def.NativeType = "timestamp"
	}
	return def
}

// Texts is a column of texts: a string is a value, nil is NULL, and [forebay.Absent] a cell that is not in the image.
func Texts(cells ...any) forebay.Column {
	var writer forebay.TextWriter
	for _, cell := range cells {
		switch cell := cell.(type) {
		case nil:
			writer.Empty(forebay.Null)
		case string:
			writer.Value(cell)
		case forebay.State:
			writer.Empty(cell)
		case int:
			writer.Empty(forebay.State(cell))
		default:
			panic(fmt.Sprintf("a cell of Texts is a string, nil or a state, not %T", cell))
		}
	}
	return writer.Column()
}

// Cells is the reverse of [Texts].
func Cells(column *forebay.Column) []any {
	cells := make([]any, column.Len())
	for row := range cells {
		switch state := column.State(row); state {
		case forebay.Value:
			cells[row] = column.Text(row)
		case forebay.Null:
		default:
			cells[row] = state
		}
	}
	return cells
}

// Run opens a transform with a configuration as JSON text, asks for its plan, and applies it to columns that stand for
// those that the plan reads. The error is the transform's, or says what its answer lacks.
func Run[C any](
	open forebay.Open[C], table *forebay.Table, config string, columns ...forebay.Column,
) (*forebay.Plan, *forebay.Output, error) {
	parsed, err := forebay.ParseConfig[C](config)
	if err != nil {
		return nil, nil, err
	}
	transform, err := open(table, parsed)
	if err != nil {
		return nil, nil, err
	}
	plan := transform.Plan()
	if len(columns) != len(plan.Reads) {
		return plan, nil, fmt.Errorf("the plan reads %d columns, and %d are given", len(plan.Reads), len(columns))
	}
	computed := 0
	for i := range plan.Edits {
		if plan.Edits[i].Computed() {
			computed++
		}
	}
	if computed == 0 && !plan.Filters && !plan.Routes {
		return plan, &forebay.Output{}, nil
	}
	rows := 1
	if len(columns) > 0 {
		rows = columns[0].Len()
	}
	output, err := transform.Apply(&forebay.Batch{Rows: rows, Columns: columns})
	if err != nil {
		return plan, nil, err
	}
	if len(output.Columns) != computed {
		return plan, output, fmt.Errorf("%d columns came back, the plan computes %d", len(output.Columns), computed)
	}
	return plan, output, nil
}
