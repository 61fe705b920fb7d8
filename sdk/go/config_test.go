package forebay_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	forebay "github.com/forebay/forebay/sdk/go"
)

type rule struct {
	Keep     *uint32          `json:"keep"`
	Encoding forebay.Encoding `json:"encoding"`
	Ratio    float32          `json:"ratio"`
	Tags     []string         `json:"tags"`
	Raw      json.RawMessage  `json:"raw"`
}

type config struct {
	Columns map[string]rule `json:"columns" forebay:"required"`
	Note    string          `json:"note"`
	hidden  int
}

// said is each problem as "path: message".
func said(t *testing.T, text string) []string {
	t.Helper()
	_, err := forebay.ParseConfig[config](text)
	if err == nil {
		t.Fatalf("%s was taken", text)
	}
	list, ofTable := forebay.Problems(err)
	if ofTable {
		t.Errorf("%s: a problem of the table", text)
	}
	var said []string
	for _, p := range list {
		if strings.Contains(p.Message, "s3cret") {
			t.Errorf("%q tells a value", p.Message)
		}
		said = append(said, p.Path+": "+p.Message)
	}
	return said
}

func TestAConfigurationIsRead(t *testing.T) {
	got, err := forebay.ParseConfig[config](
		`{"columns": {"a": {"keep": 4, "encoding": "base64", "ratio": 0.5, "tags": ["x"], "raw": {"y": 1}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	four := uint32(4)
	want := rule{&four, forebay.Base64, 0.5, []string{"x"}, json.RawMessage(`{"y": 1}`)}
	if !reflect.DeepEqual(got.Columns["a"], want) {
		t.Errorf("got %+v", got.Columns["a"])
	}
	if _, err := forebay.ParseConfig[config](`{"columns": {"a": {"keep": null, "raw": null}}}`); err != nil {
		t.Errorf("null for a pointer: %v", err)
	}
}

func TestAProblemNamesItsPathAndNotItsValue(t *testing.T) {
	for text, want := range map[string][]string{
		`{"columns": {"phone": {"keep": "s3cret"}}}`: {
			"columns.phone.keep: invalid type: string, expected a whole number of 32 bits, not below 0"},
		`{"columns": {"phone": {"keep": -5}}}`: {
			"columns.phone.keep: invalid type: number, expected a whole number of 32 bits, not below 0"},
		`{"columns": {"phone": {"keep": 4294967296}}}`: {
			"columns.phone.keep: invalid type: number, expected a whole number of 32 bits, not below 0"},
		`{"columns": {"phone": {"encoding": "s3cret"}}}`: {
			"columns.phone.encoding: unknown variant, expected `hex` or `base64`"},
		`{"columns": {"phone": {"kepp": 1}}}`: {
			"columns.phone.kepp: unknown field `kepp`, expected `keep`, `encoding`, `ratio`, `tags` or `raw`"},
		`{"columns": {"phone": {"Keep": 1}}}`: {
			"columns.phone.Keep: unknown field `Keep`, expected `keep`, `encoding`, `ratio`, `tags` or `raw`"},
		`{"columns": {"a": {"tags": ["x", 2]}, "b": [], "c": null}, "note": true}`: {
			"columns.a.tags[1]: invalid type: number, expected a string",
			"columns.b: invalid type: list, expected a map",
			"columns.c: invalid type: null, expected a map",
			"note: invalid type: boolean, expected a string"},
		`{}`:                           {": missing field `columns`"},
		`{"columns": {}, "hidden": 1}`: {"hidden: unknown field `hidden`, expected `columns` or `note`"},
		`{"columns": {}} s3cret`:       {": not JSON, from byte 16 on"},
		`s3cret`:                       {": not JSON, from byte 0 on"},
		``:                             {": not JSON, from byte 0 on"},
		`[]`:                           {": invalid type: list, expected a map"},
	} {
		if got := said(t, text); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", text, got, want)
		}
	}
}

func TestProblemsAreJoinedAndPlaced(t *testing.T) {
	table := &forebay.Table{Database: "shop", Name: "orders", Columns: []forebay.ColumnDef{{Name: "id", NativeType: "int"}}}
	_, missing := table.TextColumn("note")
	_, wrong := table.TextColumn("id")
	err := errors.Join(forebay.At("columns.note", missing), forebay.At("columns.id", wrong))
	list, ofTable := forebay.Problems(err)
	want := []forebay.Problem{
		{Path: "columns.note", Message: "table shop.orders has no column `note`"},
		{Path: "columns.id", Message: "column `id` is int, not text"},
	}
	if !ofTable || !reflect.DeepEqual(list, want) {
		t.Errorf("got %v %v", ofTable, list)
	}
	// one problem of the configuration makes it the configuration's fault
	if _, ofTable := forebay.Problems(errors.Join(err, forebay.BadConfig("x", "is wrong"))); ofTable {
		t.Error("not the table's fault alone")
	}
	list, ofTable = forebay.Problems(errors.New("anything"))
	if ofTable || !reflect.DeepEqual(list, []forebay.Problem{{Message: "anything"}}) {
		t.Errorf("got %v %v", ofTable, list)
	}
	if forebay.At("x", nil) != nil {
		t.Error("nil became an error")
	}
	if got := forebay.At("x", forebay.BadConfig("y", "is wrong")).Error(); got != "x.y: is wrong" {
		t.Errorf("got %s", got)
	}
}
