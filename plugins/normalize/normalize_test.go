package main

import (
	"fmt"
	"reflect"
	"testing"

	forebay "github.com/forebay/forebay/sdk/go"
	"github.com/forebay/forebay/sdk/go/plugintest"
)

var table = plugintest.Table(plugintest.Column("id", forebay.Integer), plugintest.Column("x", forebay.Text))

// one is what a rule makes of a value; NULL and absent must stay.
func one(t *testing.T, rule, text string) any {
	t.Helper()
	_, output, err := plugintest.Run(open, table, fmt.Sprintf(`{"columns": {"x": %s}}`, rule),
		plugintest.Texts(text, nil, forebay.Absent))
	if err != nil {
		t.Fatal(err)
	}
	cells := plugintest.Cells(output.Columns[0])
	if !reflect.DeepEqual(cells[1:], []any{nil, forebay.Absent}) {
		t.Errorf("NULL and absent became %v", cells[1:])
	}
	return cells[0]
}

func TestTexts(t *testing.T) {
	words := `{"address": {"words": {"St": "Street", "RD.": "Road"}}}`
	for _, c := range []struct{ rule, text, want string }{
		{`{"trim": true}`, " \t a  b \u00a0", "a  b"},
		{`{"trim": true}`, "", ""},
		{`{"collapse": true}`, "  a \n b\u00a0c ", "a b c"},
		{`{"case": "upper"}`, "straße 1é", "STRAßE 1É"},
		{`{"case": "lower"}`, "Jane@EXAMPLE.com", "jane@example.com"},
		{`{"case": "lower"}`, "ÀB", "àb"},
		{`{"case": "title"}`, "mcLEAN o'neill-smith 2nd", "Mclean O'neill-Smith 2nd"},
		{`{"case": "title"}`, "émile ZOLA", "Émile Zola"},
		{`{"case": "title"}`, "@[`{", "@[`{"},
		{`{"trim": true, "case": "lower"}`, "  Jane@Example.com ", "jane@example.com"},
		{`{"collapse": true, "case": "title"}`, " ACME   corp", "Acme Corp"},
		{words, " 100  Test ST. ,Sydney  NSW 2000,", "100 Test Street, Sydney NSW 2000"},
		{words, "12 Stone rd,,  Perth", "12 Stone Road, Perth"},
		{words, ",", ""},
		{`{"address": {}, "case": "upper"}`, "123 Main  Street , sydney", "123 MAIN STREET, SYDNEY"},
	} {
		if got := one(t, c.rule, c.text); got != c.want {
			t.Errorf("%s of %q: got %q, want %q", c.rule, c.text, got, c.want)
		}
	}
}

func TestWhatIsNormalizedStaysSo(t *testing.T) {
	for _, rule := range []string{
		`{"case": "title"}`, `{"collapse": true, "case": "upper"}`, `{"address": {"words": {"St": "Street"}}}`,
		`{"phone": {"country": "AU"}}`,
	} {
		for _, text := range []string{"(02) 9123-4567", " 1 St , x ", "ǆ ß ﬁ", "o'n 'x", "+61 2", ""} {
			once := one(t, rule, text).(string)
			if twice := one(t, rule, once); twice != once {
				t.Errorf("%s of %q: %q, then %q", rule, text, once, twice)
			}
		}
	}
}

func TestPhones(t *testing.T) {
	for _, c := range []struct{ country, text, want string }{
		{"AU", "(02) 9123 4567", "+61291234567"},
		{"AU", "0412-345-678", "+61412345678"},
		{"AU", " +61 (0)2 9123 4567 ", "+61291234567"},
		{"AU", "0011 1 212 555 0123", "+12125550123"},
		{"AU", "tel:+61.2.9123.4567", "+61291234567"},
		{"US", "1 (212) 555-0123", "+12125550123"},
		{"US", "212.555.0123", "+12125550123"},
		{"US", "011 44 20 7946 0018", "+442079460018"},
		{"IT", "06 698 12345", "+390669812345"},
		{"DE", "0049 30 123456", "+4930123456"},
		{"DE", "030/123456", "+4930123456"},
		// none of these is one
		{"AU", "unknown", "unknown"},
		{"AU", "9123 4567 ext 5", "9123 4567 ext 5"},
		{"AU", "000", "000"},
		{"AU", "+0 123 456 789", "+0 123 456 789"},
		{"AU", "+1234567890123456", "+1234567890123456"},
		{"AU", "123456789012345678901234567890", "123456789012345678901234567890"},
		{"AU", "٠٤١٢٣٤٥٦٧٨", "٠٤١٢٣٤٥٦٧٨"},
		{"AU", "", ""},
	} {
		if got := one(t, fmt.Sprintf(`{"phone": {"country": %q}}`, c.country), c.text); got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.country, c.text, got, c.want)
		}
	}
}

func TestAnInvalidPhoneIsNullOrRejected(t *testing.T) {
	if got := one(t, `{"phone": {"country": "AU", "invalid": "null"}}`, "none"); got != nil {
		t.Errorf("got %v", got)
	}
	cells := plugintest.Texts("none", "02 9123 4567", nil, "")
	config := `{"columns": {"x": {"phone": {"country": "AU", "invalid": "reject"}}, "y": {"phone": {"country": "AU", "invalid": "reject"}}}}`
	two := plugintest.Table(plugintest.Column("x", forebay.Text), plugintest.Column("y", forebay.Text))
	plan, output, err := plugintest.Run(open, two, config, cells, cells)
	if err != nil {
		t.Fatal(err)
	}
	want := []forebay.Reject{{Row: 0, Reason: "not a phone number"}, {Row: 3, Reason: "not a phone number"}}
	if !plan.Filters || !reflect.DeepEqual(output.Rejects, want) {
		t.Errorf("got %+v", output.Rejects)
	}
	if got := plugintest.Cells(output.Columns[1])[1]; got != "+61291234567" {
		t.Errorf("got %v", got)
	}
}

func TestAColumnThatMayBecomeNullIsNullable(t *testing.T) {
	strict := plugintest.Table(forebay.TextDef("x", 20, false))
	plan, _, err := plugintest.Run(open, strict, `{"columns": {"x": {"phone": {"country": "AU", "invalid": "null"}}}}`,
		plugintest.Texts("none"))
	if err != nil {
		t.Fatal(err)
	}
	if edit := plan.Edits[0]; edit.Kind != forebay.EditRetype || !edit.Def.Nullable || edit.Def.NativeType != "varchar(20)" {
		t.Errorf("got %+v", edit)
	}
}

func TestProblems(t *testing.T) {
	for config, want := range map[string][]forebay.Problem{
		`{"columns": {"x": {}, "id": {"trim": true}, "gone": {"trim": true}}}`: {
			{Path: "columns.gone", Message: "table shop.customers has no column `gone`"},
			{Path: "columns.id", Message: "column `id` is bigint, not text"},
			{Path: "columns.x", Message: "one of trim, collapse, address, case or phone is needed"},
		},
		`{"columns": {"x": {"phone": {"country": "au"}}}}`: {
			{Path: "columns.x.phone.country", Message: "not a country that is known here: two capital letters, as `AU`"},
		},
		`{"columns": {"x": {"phone": {}, "case": "Upper"}}}`: {
			{Path: "columns.x.case", Message: "unknown variant, expected one of `lower`, `title`, `upper`"},
			{Path: "columns.x.phone", Message: "missing field `country`"},
		},
		`{"columns": {"x": {"phone": {"country": "AU"}, "trim": true}}}`: {
			{Path: "columns.x", Message: "phone stands alone: leave out the others"},
		},
		`{"columns": {"x": {"address": {"words": {"two words": "one"}}}}}`: {
			{Path: "columns.x.address.words", Message: "each key must be one word"},
		},
	} {
		_, _, err := plugintest.Run(open, table, config)
		if got, _ := forebay.Problems(err); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", config, got, want)
		}
	}
	plan, _, err := plugintest.Run(open, table, `{"columns": {"gone": {"trim": true}}, "missing": "ignore"}`)
	if err != nil || len(plan.Edits) != 0 {
		t.Errorf("got %+v, %v", plan, err)
	}
}
