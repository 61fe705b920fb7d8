package main

import (
	"reflect"
	"testing"

	forebay "github.com/forebay/forebay/sdk/go"
	"github.com/forebay/forebay/sdk/go/plugintest"
)

func TestTheLastCharactersStay(t *testing.T) {
	table := plugintest.Table(plugintest.Column("id", forebay.Integer), plugintest.Column("phone", forebay.Text))
	phones := plugintest.Texts("+61 400 123 456", "né", nil)
	_, output, err := plugintest.Run(open, table, `{"columns": ["phone"], "keep": 3}`, phones)
	if err != nil {
		t.Fatal(err)
	}
	got := plugintest.Cells(output.Columns[0])
	want := []any{"************456", "né", nil}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%v, and %v was expected", got, want)
	}
}

func TestAColumnThatIsNotThereIsTold(t *testing.T) {
	table := plugintest.Table(plugintest.Column("id", forebay.Integer))
	_, _, err := plugintest.Run(open, table, `{"columns": ["phone"]}`)
	problems, ofTable := forebay.Problems(err)
	if !ofTable || len(problems) != 1 || problems[0].Path != "columns[0]" {
		t.Fatalf("%v", err)
	}
}
