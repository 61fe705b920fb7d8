package forebay

import "slices"

// A Plan is what a plugin reads and changes, for one table. The zero value changes nothing; the methods add to it and
// return it. Columns are indexes into [Table.Columns]. A column has at most one edit, but Rename goes together with
// Nullify and Replace. New columns follow the table's own: first the appended, then the constants, then the stamps.
type Plan struct {
	// Reads are the columns that Apply is given, in this order.
	Reads []int
	// Edits are what changes. Replace, Retype and Append are computed: Apply answers them, in this order.
	Edits []Edit
	// Filters: Apply may drop and reject images.
	Filters bool
	// NeedsKinds: Apply is given [Batch.Kinds].
	NeedsKinds bool
	// Routes: Apply may choose where images go.
	Routes bool
	// KeyColumns tell the result's rows apart, by name; nil = those of the table's key, if all are left.
	KeyColumns []string
	// KeepsDeleted: a deleted row becomes an update that sets a stamp of [Deleted] from 0 to 1.
	KeepsDeleted bool
}

// EditKind is what an [Edit] does.
type EditKind uint8

// The edits.
const (
	EditDrop EditKind = iota
	EditRename
	EditNullify
	EditReplace
	EditRetype
	EditAppend
	EditConstant
	EditStamp
)

// An Edit is one thing that a plan does to the table; [Plan]'s methods make them.
type Edit struct {
	Kind EditKind
	// Column is of all but EditAppend, EditConstant and EditStamp.
	Column int
	// Name is of EditRename and EditStamp.
	Name string
	// Def is of EditRetype, EditAppend and EditConstant.
	Def ColumnDef
	// Cell is of EditConstant.
	Cell Column
	// What is of EditStamp.
	What Metadata
}

// Computed says whether Apply answers the edit.
func (e *Edit) Computed() bool {
	return e.Kind == EditReplace || e.Kind == EditRetype || e.Kind == EditAppend
}

// Metadata is what the router knows of an image, apart from its cells.
type Metadata uint8

// What stamps say.
const (
	// Op is c, u, d or r: char(1).
	Op Metadata = iota
	// Deleted is 1 in the image of a delete, else 0: tinyint(1).
	Deleted
	// CommitTime is when the source committed the change: timestamp(6).
	CommitTime
	// GTID is the transaction's: varchar(128), NULL where it has none.
	GTID
	// Offset is the event's in the router's log: bigint unsigned.
	Offset
	// SourceName is the source's name: varchar(64).
	SourceName
	// DatabaseName is the database: varchar(64).
	DatabaseName
	// TableName is the table: varchar(64).
	TableName
)

// Read gives a column to Apply; again for a column already read does nothing.
func (p *Plan) Read(column int) *Plan {
	if !slices.Contains(p.Reads, column) {
		p.Reads = append(p.Reads, column)
	}
	return p
}

// Drop leaves a column out of the result.
func (p *Plan) Drop(column int) *Plan { return p.edit(Edit{Kind: EditDrop, Column: column}) }

// Rename gives a column another name.
func (p *Plan) Rename(column int, name string) *Plan {
	return p.edit(Edit{Kind: EditRename, Column: column, Name: name})
}

// Nullify makes every cell of a column NULL.
func (p *Plan) Nullify(column int) *Plan { return p.edit(Edit{Kind: EditNullify, Column: column}) }

// Replace lets Apply return new cells for a column.
func (p *Plan) Replace(column int) *Plan { return p.edit(Edit{Kind: EditReplace, Column: column}) }

// Retype lets Apply return new cells for a column, which becomes what def says.
func (p *Plan) Retype(column int, def ColumnDef) *Plan {
	return p.edit(Edit{Kind: EditRetype, Column: column, Def: def})
}

// Append lets Apply return the cells of a new column.
func (p *Plan) Append(def ColumnDef) *Plan { return p.edit(Edit{Kind: EditAppend, Def: def}) }

// Constant adds a column with the same cell in every image; cell is a column of one cell, as [TextCell] makes it.
func (p *Plan) Constant(def ColumnDef, cell Column) *Plan {
	return p.edit(Edit{Kind: EditConstant, Def: def, Cell: cell})
}

// Stamp adds a column of what the router knows of each change.
func (p *Plan) Stamp(what Metadata, name string) *Plan {
	return p.edit(Edit{Kind: EditStamp, What: what, Name: name})
}

// Key names the columns of the result that tell its rows apart from here on.
func (p *Plan) Key(columns ...string) *Plan {
	p.KeyColumns = append([]string{}, columns...)
	return p
}

// KeepingDeleted keeps deleted rows: the event becomes an update, in which the stamp of [Deleted], added here under this
// name, changes from 0 to 1.
func (p *Plan) KeepingDeleted(name string) *Plan {
	p.KeepsDeleted = true
	return p.Stamp(Deleted, name)
}

// Routing lets Apply choose where images go: [Output.Routing].
func (p *Plan) Routing() *Plan { p.Routes = true; return p }

// Filtering lets Apply drop and reject images.
func (p *Plan) Filtering() *Plan { p.Filters = true; return p }

// WithKinds gives Apply the images' kinds.
func (p *Plan) WithKinds() *Plan { p.NeedsKinds = true; return p }

func (p *Plan) edit(e Edit) *Plan { p.Edits = append(p.Edits, e); return p }
