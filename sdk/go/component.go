//go:build wasip1

package forebay

// The glue between the component's exports and a Transform. Nothing here touches a cell: columns change hands as slices.

import (
	"unsafe"

	export "github.com/forebay/forebay/sdk/go/internal/bindings/exports/export_forebay_transform_transformer"
	_ "github.com/forebay/forebay/sdk/go/internal/bindings/exports/wit_exports"
	host "github.com/forebay/forebay/sdk/go/internal/bindings/imports/forebay_transform_host"
	types "github.com/forebay/forebay/sdk/go/internal/bindings/imports/forebay_transform_types"
	wit "github.com/forebay/forebay/sdk/go/internal/bindings/wit/types"
)

func init() {
	export.DescribePlugin = describe
	export.OpenTransform = openTransform
}

func log(level Level, message string) { host.Log(host.Level(level), message) }

func describe() types.PluginInfo {
	defer withhold()
	if exported == nil {
		panic("no init function of package main calls forebay.Export")
	}
	info := exported.info
	return types.PluginInfo{
		Name: info.Name, Version: info.Version, Description: info.Description, Secrets: info.Secrets,
	}
}

type bound struct{ transform Transform }

func openTransform(schema types.TableSchema, config string) (export.Transform, *types.Error) {
	defer withhold()
	if exported == nil {
		panic("no init function of package main calls forebay.Export")
	}
	transform, err := exported.open(tableOf(schema), config)
	if err != nil {
		list, ofTable := Problems(err)
		problems := make([]types.Problem, len(list))
		for i, p := range list {
			problems[i] = types.Problem(p)
		}
		answer := types.MakeErrorConfig(problems)
		if ofTable {
			answer = types.MakeErrorSchema(problems)
		}
		return nil, &answer
	}
	return bound{transform}, nil
}

func (b bound) Plan() types.Plan {
	defer withhold()
	plan := b.transform.Plan()
	if plan == nil {
		plan = &Plan{}
	}
	out := types.Plan{
		Reads:        make([]uint32, len(plan.Reads)),
		Edits:        make([]types.Edit, len(plan.Edits)),
		Filters:      plan.Filters,
		NeedsKinds:   plan.NeedsKinds,
		Routes:       plan.Routes,
		Key:          wit.None[[]string](),
		KeepsDeleted: plan.KeepsDeleted,
	}
	for i, column := range plan.Reads {
		out.Reads[i] = uint32(column)
	}
	for i := range plan.Edits {
		out.Edits[i] = edit(&plan.Edits[i])
	}
	if plan.KeyColumns != nil {
		out.Key = wit.Some(plan.KeyColumns)
	}
	return out
}

func (b bound) Apply(batch types.Batch) (types.Output, *types.Error) {
	defer withhold()
	in := Batch{Rows: int(batch.Rows), Columns: make([]Column, len(batch.Columns)), Kinds: batch.Kinds}
	for i := range batch.Columns {
		in.Columns[i] = columnOf(&batch.Columns[i])
	}
	output, err := b.transform.Apply(&in)
	if err != nil {
		answer := types.MakeErrorData(err.Error())
		return types.Output{}, &answer
	}
	if output == nil {
		output = &Output{}
	}
	out := types.Output{
		Columns: make([]wit.Option[types.Column], len(output.Columns)),
		// a bool is one byte, 0 or 1
		Keep:    unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(output.Keep))), len(output.Keep)),
		Rejects: make([]types.Reject, len(output.Rejects)),
		Routing: optional(output.Routing),
	}
	for i, column := range output.Columns {
		out.Columns[i] = optional(column)
	}
	for i, reject := range output.Rejects {
		out.Rejects[i] = types.Reject{Row: uint32(reject.Row), Reason: reject.Reason}
	}
	return out, nil
}

func tableOf(schema types.TableSchema) *Table {
	table := &Table{
		Source: schema.Source, Database: schema.Database, Name: schema.Table,
		Columns: make([]ColumnDef, len(schema.Columns)), Key: make([]int, len(schema.PrimaryKey)),
	}
	for i, def := range schema.Columns {
		table.Columns[i] = ColumnDef{
			def.Name, LogicalType(def.Logical), Layout(def.Layout), def.Nullable, def.NativeType,
		}
	}
	for i, column := range schema.PrimaryKey {
		table.Key[i] = int(column)
	}
	return table
}

func defTo(def ColumnDef) types.ColumnDef {
	return types.ColumnDef{
		Name: def.Name, Logical: types.LogicalType(def.Logical), Layout: types.Layout(def.Layout),
		Nullable: def.Nullable, NativeType: def.NativeType,
	}
}

func edit(e *Edit) types.Edit {
	column := uint32(e.Column)
	switch e.Kind {
	case EditDrop:
		return types.MakeEditDrop(column)
	case EditRename:
		return types.MakeEditRename(types.Rename{Column: column, Name: e.Name})
	case EditNullify:
		return types.MakeEditNullify(column)
	case EditReplace:
		return types.MakeEditReplace(column)
	case EditRetype:
		return types.MakeEditRetype(types.Retype{Column: column, Def: defTo(e.Def)})
	case EditAppend:
		return types.MakeEditAppend(defTo(e.Def))
	case EditConstant:
		return types.MakeEditConstant(types.Constant{Def: defTo(e.Def), Value: columnTo(&e.Cell)})
	case EditStamp:
		return types.MakeEditStamp(types.Stamp{What: types.Metadata(e.What), Name: e.Name})
	default:
		panic("an edit of an unknown kind")
	}
}

func columnOf(c *types.Column) Column {
	column := Column{States: c.States, Layout: Layout(c.Cells.Tag())}
	switch column.Layout {
	case LayoutSigned:
		column.Signed = c.Cells.Signed()
	case LayoutUnsigned:
		column.Unsigned = c.Cells.Unsigned()
	case LayoutFloat:
		column.Floats = c.Cells.Float()
	case LayoutText:
		cells := c.Cells.Text()
		column.Offsets, column.Data = cells.Offsets, cells.Data
	case LayoutBytes:
		cells := c.Cells.Bytes()
		column.Offsets, column.Data = cells.Offsets, cells.Data
	}
	return column
}

func columnTo(c *Column) types.Column {
	var cells types.Cells
	switch c.Layout {
	case LayoutSigned:
		cells = types.MakeCellsSigned(c.Signed)
	case LayoutUnsigned:
		cells = types.MakeCellsUnsigned(c.Unsigned)
	case LayoutFloat:
		cells = types.MakeCellsFloat(c.Floats)
	case LayoutText:
		cells = types.MakeCellsText(types.VarCells{Offsets: c.Offsets, Data: c.Data})
	case LayoutBytes:
		cells = types.MakeCellsBytes(types.VarCells{Offsets: c.Offsets, Data: c.Data})
	default:
		panic("a column of an unknown layout")
	}
	return types.Column{States: c.States, Cells: cells}
}

func optional(c *Column) wit.Option[types.Column] {
	if c == nil {
		return wit.None[types.Column]()
	}
	return wit.Some(columnTo(c))
}
