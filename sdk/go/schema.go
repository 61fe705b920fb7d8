package forebay

import "strconv"

// LogicalType is what a column's values mean in the source table.
type LogicalType uint8

// What columns mean. The layout of texts, JSON, decimals and times is [LayoutText].
const (
	// Integer is TINYINT to BIGINT, YEAR and BIT.
	Integer LogicalType = iota
	// Float is FLOAT and DOUBLE; always finite.
	Float
	// Decimal is DECIMAL as its canonical text: -0.50, all digits of the scale.
	Decimal
	// Text is CHAR, VARCHAR, TEXT, ENUM, SET: UTF-8 whatever the table's character set.
	Text
	// JSON is one JSON value as text.
	JSON
	// Date is DATE as 2020-01-31; zero and partial dates stay what they are.
	Date
	// Time is TIME as [-]HH:MM:SS[.ffffff].
	Time
	// DateTime is DATETIME as 2020-01-31 12:34:56[.ffffff], without a time zone.
	DateTime
	// Timestamp is TIMESTAMP as DATETIME's text in UTC.
	Timestamp
	// Binary is BINARY, VARBINARY, BLOB, GEOMETRY and VECTOR.
	Binary
)

// Layout is how a column's cells lie: which fields of a [Column] hold them.
type Layout uint8

// The layouts.
const (
	// LayoutSigned: Column.Signed.
	LayoutSigned Layout = iota
	// LayoutUnsigned: Column.Unsigned.
	LayoutUnsigned
	// LayoutFloat: Column.Floats.
	LayoutFloat
	// LayoutText: Column.Offsets and Column.Data, which is UTF-8.
	LayoutText
	// LayoutBytes: Column.Offsets and Column.Data.
	LayoutBytes
)

// A ColumnDef is one column of a table.
type ColumnDef struct {
	// Name is as the server spells it.
	Name string
	// Logical is what its values mean.
	Logical LogicalType
	// Layout is how its cells lie.
	Layout Layout
	// Nullable says whether it may hold NULL.
	Nullable bool
	// NativeType is the server's spelling of the type, as "varchar(64)". In a plan it may be empty, and then means
	// the widest of its kind; a decimal needs its "decimal(precision,scale)".
	NativeType string
}

// TextDef is a text column; characters = the longest text, in characters.
func TextDef(name string, characters int, nullable bool) ColumnDef {
	native := ""
	if characters <= 16383 {
		native = "varchar(" + strconv.Itoa(characters) + ")"
	}
	return ColumnDef{Name: name, Logical: Text, Layout: LayoutText, Nullable: nullable, NativeType: native}
}

// A Table is one version of a table.
type Table struct {
	// Source is the source's name in the router's configuration.
	Source string
	// Database is MySQL's schema.
	Database string
	// Name is the table's own.
	Name string
	// Columns are in table order.
	Columns []ColumnDef
	// Key holds indexes into Columns, in key order; empty where the table has no primary key.
	Key []int
}

// Column is the index of a column; names are compared exactly. The error names column and table.
func (t *Table) Column(name string) (int, error) {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return i, nil
		}
	}
	return 0, BadTable("", "table %s.%s has no column `%s`", t.Database, t.Name, name)
}

// TextColumn is as Column, of a text column (CHAR, VARCHAR, TEXT, ENUM, SET).
func (t *Table) TextColumn(name string) (int, error) {
	i, err := t.Column(name)
	if err == nil && t.Columns[i].Logical != Text {
		return 0, BadTable("", "column `%s` is %s, not text", name, t.Columns[i].NativeType)
	}
	return i, err
}
