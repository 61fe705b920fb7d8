package forebay_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	forebay "github.com/forebay/forebay/sdk/go"
	"github.com/forebay/forebay/sdk/go/plugintest"
)

func TestCellsKeepTheirState(t *testing.T) {
	column := plugintest.Texts("é1", nil, forebay.Absent, "")
	want := []any{"é1", nil, forebay.Absent, ""}
	if got := plugintest.Cells(&column); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	doubled, err := column.MapText(func(out []byte, text string) []byte { return append(append(out, text...), text...) })
	if err != nil {
		t.Fatal(err)
	}
	want[0] = "é1é1"
	if got := plugintest.Cells(&doubled); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	fixed := doubled.FixedText("x")
	want[0], want[3] = "x", "x"
	if got := plugintest.Cells(&fixed); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestAColumnWithoutNullsHasNoStates(t *testing.T) {
	column := plugintest.Texts("a", "bc")
	if column.States != nil || column.State(1) != forebay.Value || column.Len() != 2 {
		t.Errorf("got %+v", column)
	}
	if string(column.Bytes(1)) != "bc" || cap(column.Bytes(0)) != 1 {
		t.Error("a cell is its own bytes, and an append cannot write over the next")
	}
	var empty forebay.TextWriter
	none := empty.Column()
	if none.Len() != 0 || len(none.Offsets) != 1 {
		t.Errorf("got %+v", none)
	}
}

func TestAnotherLayoutIsAnErrorNotAPanic(t *testing.T) {
	column := forebay.Column{Layout: forebay.LayoutSigned, Signed: []int64{1}}
	if _, err := column.MapText(nil); err == nil {
		t.Error("numbers are no texts")
	}
	if fixed := column.FixedText("x"); fixed.Text(0) != "x" {
		t.Errorf("got %+v", fixed)
	}
	batch := forebay.Batch{Rows: 1, Columns: []forebay.Column{column}}
	_, err := batch.MapColumns(func(_ int, column forebay.Column) (forebay.Column, error) { return column.MapText(nil) })
	if err == nil {
		t.Error("the error was lost")
	}
}

func TestTheHashIsHMACSHA256(t *testing.T) {
	hashed := func(encoding forebay.Encoding, length int) string {
		hash := forebay.NewKeyedHash([]byte("Jefe"), encoding, length)
		return string(hash.Append([]byte(">"), []byte("what do ya want for nothing?")))
	}
	// RFC 4231, test case 2
	whole := "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	for got, want := range map[string]string{
		hashed(forebay.Hex, 64):    ">" + whole,
		hashed(forebay.Hex, 9):     ">" + whole[:9],
		hashed(forebay.Base64, 99): ">W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	hash := forebay.NewKeyedHash([]byte("Jefe"), forebay.Hex, 64)
	for length := range 200 {
		value := bytes.Repeat([]byte{'x'}, length)
		mac := hmac.New(sha256.New, []byte("Jefe"))
		mac.Write(value)
		if got := hash.Append(nil, value); string(got) != hex.EncodeToString(mac.Sum(nil)) {
			t.Fatalf("of %d bytes: %s", length, got)
		}
	}
	if strings.Contains(hash.String(), "Jefe") {
		t.Error("a hash tells its key")
	}
}

func TestAPlanIsWhatWasAsked(t *testing.T) {
	plan := new(forebay.Plan).Read(1).Read(1).Drop(2).Rename(0, "key").Key("key").KeepingDeleted("gone")
	want := &forebay.Plan{
		Reads: []int{1},
		Edits: []forebay.Edit{
			{Kind: forebay.EditDrop, Column: 2},
			{Kind: forebay.EditRename, Column: 0, Name: "key"},
			{Kind: forebay.EditStamp, What: forebay.Deleted, Name: "gone"},
		},
		KeyColumns:   []string{"key"},
		KeepsDeleted: true,
	}
	if !reflect.DeepEqual(plan, want) {
		t.Errorf("got %+v", plan)
	}
	if forebay.TextDef("a", 20_000, true).NativeType != "" {
		t.Error("MySQL has no varchar of that length")
	}
}

// upper is the plugin of the package's documentation.
type upper struct{ column int }

type upperConfig struct {
	Column string `json:"column" forebay:"required"`
}

func openUpper(table *forebay.Table, config upperConfig) (forebay.Transform, error) {
	column, err := table.TextColumn(config.Column)
	return upper{column}, forebay.At("column", err)
}

func (u upper) Plan() *forebay.Plan { return new(forebay.Plan).Read(u.column).Replace(u.column) }

func (u upper) Apply(batch *forebay.Batch) (*forebay.Output, error) {
	return batch.MapColumns(func(_ int, column forebay.Column) (forebay.Column, error) {
		return column.MapText(func(out []byte, text string) []byte { return append(out, strings.ToUpper(text)...) })
	})
}

func TestAWholePlugin(t *testing.T) {
	table := plugintest.Table(plugintest.Column("id", forebay.Integer), plugintest.Column("name", forebay.Text))
	plan, output, err := plugintest.Run(openUpper, table, `{"column": "name"}`, plugintest.Texts("ada", nil))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(plan.Reads, []int{1}) {
		t.Errorf("got %+v", plan)
	}
	if got := plugintest.Cells(output.Columns[0]); !reflect.DeepEqual(got, []any{"ADA", nil}) {
		t.Errorf("got %v", got)
	}
	_, _, err = plugintest.Run(openUpper, table, `{"column": "id"}`)
	if err == nil || err.Error() != "column: column `id` is bigint, not text" {
		t.Errorf("got %v", err)
	}
	if _, _, err = plugintest.Run(openUpper, table, `{"column": "name"}`); err == nil {
		t.Error("a column is missing")
	}
}
