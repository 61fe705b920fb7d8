package forebay

import (
	"errors"
	"unsafe"
)

// State says what a cell holds.
type State = byte

// The states of cells.
const (
	// Null is SQL NULL.
	Null State = 0
	// Value is a value.
	Value State = 1
	// Absent is a cell that is not in the row image; it must stay so.
	Absent State = 2
)

// Kind says what a row image is of.
type Kind = byte

// The kinds of images.
const (
	Snapshot Kind = 0
	Insert   Kind = 1
	Before   Kind = 2
	After    Kind = 3
	Delete   Kind = 4
)

// A Batch is some row images of one table.
type Batch struct {
	// Rows is how many images; never 0.
	Rows int
	// Columns are as in [Plan.Reads].
	Columns []Column
	// Kinds is empty, or where [Plan.NeedsKinds] one for each image. An update's before and after image are next to
	// each other and in the same batch.
	Kinds []Kind
}

// An Output is what became of a batch. The zero value keeps every image.
type Output struct {
	// Columns has one for each computed edit of the plan, in its order. nil = the cells as they came, allowed for a
	// Replace of a column that the plan reads.
	Columns []*Column
	// Keep has one for each image; empty = keep all.
	Keep []bool
	// Rejects are images not let through, each at most once.
	Rejects []Reject
	// Routing says where images go: a text for each, which the sink puts behind the name of its destination. NULL =
	// the destination itself; nil = all go there.
	Routing *Column
}

// A Reject is one image that is not let through: its whole event goes to the dead letters.
type Reject struct {
	// Row counts from 0 in the batch.
	Row int
	// Reason is for people: what is wrong with the value, not what it is.
	Reason string
}

// MapColumns makes one computed column of each column read: for plans whose computed edits follow the order of their
// reads. convert is given the index among the reads.
func (b *Batch) MapColumns(convert func(index int, column Column) (Column, error)) (*Output, error) {
	out := make([]Column, len(b.Columns))
	output := &Output{Columns: make([]*Column, len(b.Columns))}
	for i, column := range b.Columns {
		converted, err := convert(i, column)
		if err != nil {
			return nil, err
		}
		out[i] = converted
		output.Columns[i] = &out[i]
	}
	return output, nil
}

// A Column holds the cells of a batch. What a cell holds whose state is not [Value] has no meaning.
type Column struct {
	// States has one for each image; empty = every cell has a value.
	States []State
	// Layout says which of the fields below hold the cells.
	Layout Layout
	// Signed is of LayoutSigned.
	Signed []int64
	// Unsigned is of LayoutUnsigned.
	Unsigned []uint64
	// Floats is of LayoutFloat.
	Floats []float64
	// Offsets and Data are of LayoutText and LayoutBytes: cell i is Data[Offsets[i]:Offsets[i+1]].
	Offsets []uint32
	Data    []byte
}

// TextCell is a column of one text, for a constant.
func TextCell(text string) Column {
	return Column{Layout: LayoutText, Offsets: []uint32{0, uint32(len(text))}, Data: []byte(text)}
}

// Len is how many cells there are.
func (c *Column) Len() int {
	switch c.Layout {
	case LayoutSigned:
		return len(c.Signed)
	case LayoutUnsigned:
		return len(c.Unsigned)
	case LayoutFloat:
		return len(c.Floats)
	default:
		return max(len(c.Offsets)-1, 0)
	}
}

// State is a cell's.
func (c *Column) State(row int) State {
	if len(c.States) == 0 {
		return Value
	}
	return c.States[row]
}

// Text is a cell of LayoutText or LayoutBytes as a string, without a copy. It panics on other layouts.
func (c *Column) Text(row int) string {
	bytes := c.Bytes(row)
	return unsafe.String(unsafe.SliceData(bytes), len(bytes))
}

// Bytes is a cell of LayoutText or LayoutBytes, without a copy: not to be written to. It panics on other layouts.
func (c *Column) Bytes(row int) []byte {
	start, end := c.Offsets[row], c.Offsets[row+1]
	return c.Data[start:end:end]
}

var errNotText = errors.New("a column of text was expected, and another came")

// MapText is another text column, made value by value: convert appends what a text becomes. NULL stays NULL, absent
// stays absent. The error is that c is not of LayoutText.
func (c *Column) MapText(convert func(out []byte, text string) []byte) (Column, error) {
	if c.Layout != LayoutText {
		return Column{}, errNotText
	}
	rows := c.Len()
	offsets := make([]uint32, rows+1)
	data := make([]byte, 0, len(c.Data))
	all := unsafe.String(unsafe.SliceData(c.Data), len(c.Data))
	from := c.Offsets[1:]
	// the loop without states is its own, since most columns have none
	start := uint32(0)
	if len(c.States) == 0 {
		for row, end := range from {
			data = convert(data, all[start:end])
			start = end
			offsets[row+1] = uint32(len(data))
		}
	} else {
		states := c.States[:rows]
		for row, end := range from {
			if states[row] == Value {
				data = convert(data, all[start:end])
			}
			start = end
			offsets[row+1] = uint32(len(data))
		}
	}
	return Column{States: c.States, Layout: LayoutText, Offsets: offsets, Data: data}, nil
}

// FixedText is a text column with the same text for each value of c, whatever its layout. NULL stays NULL, absent stays
// absent.
func (c *Column) FixedText(text string) Column {
	rows := c.Len()
	offsets := make([]uint32, rows+1)
	data := make([]byte, 0, rows*len(text))
	for row := range rows {
		if c.State(row) == Value {
			data = append(data, text...)
		}
		offsets[row+1] = uint32(len(data))
	}
	return Column{States: c.States, Layout: LayoutText, Offsets: offsets, Data: data}
}

// A TextWriter writes a text column, cell by cell. The zero value is empty and ready.
type TextWriter struct {
	states  []State
	offsets []uint32
	data    []byte
	others  bool
}

// NewTextWriter has room for so many rows and bytes of text.
func NewTextWriter(rows, bytes int) *TextWriter {
	return &TextWriter{
		states:  make([]State, 0, rows),
		offsets: append(make([]uint32, 0, rows+1), 0),
		data:    make([]byte, 0, bytes),
	}
}

// Value ends a cell with a text.
func (w *TextWriter) Value(text string) {
	w.data = append(w.data, text...)
	w.end(Value)
}

// Append ends a cell with the text that write appends to what it is given.
func (w *TextWriter) Append(write func(out []byte) []byte) {
	w.data = write(w.data)
	w.end(Value)
}

// Try ends a cell with the text that write appends to what it is given, or with NULL where write says false.
func (w *TextWriter) Try(write func(out []byte) ([]byte, bool)) bool {
	out, written := write(w.data)
	if !written {
		w.end(Null)
		return false
	}
	w.data = out
	w.end(Value)
	return true
}

// Empty ends a cell that has no value: [Null] or [Absent].
func (w *TextWriter) Empty(state State) { w.end(state) }

func (w *TextWriter) end(state State) {
	if len(w.offsets) == 0 {
		w.offsets = append(w.offsets, 0)
	}
	w.others = w.others || state != Value
	w.states = append(w.states, state)
	w.offsets = append(w.offsets, uint32(len(w.data)))
}

// Column is what was written.
func (w *TextWriter) Column() Column {
	if len(w.offsets) == 0 {
		w.offsets = append(w.offsets, 0)
	}
	column := Column{Layout: LayoutText, Offsets: w.offsets, Data: w.data}
	if w.others {
		column.States = w.states
	}
	return column
}
