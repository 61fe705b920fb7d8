package forebay

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// ParseConfig reads a configuration into C, as encoding/json does, but for these: names are compared exactly; a field
// that is not known is a problem, and so is null where there is no pointer, and the absence of a field with the tag
// `forebay:"required"`; all problems are told at once, each with its path and without the value that stands there, which
// may be a secret. A type's own UnmarshalJSON or UnmarshalText may give its reasons with [BadConfig].
func ParseConfig[C any](text string) (C, error) {
	var config C
	var tree any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	err := decoder.Decode(&tree)
	if err == nil && decoder.More() {
		err = errors.New("more than one value")
	}
	if err != nil {
		// the words of encoding/json quote the text
		return config, BadConfig("", "not JSON, from byte %d on", decoder.InputOffset())
	}
	checker := checker{}
	checker.value("", tree, reflect.TypeFor[C]())
	if len(checker.problems) > 0 {
		return config, errors.Join(checker.problems...)
	}
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return config, BadConfig("", "does not fit what the plugin expects")
	}
	return config, nil
}

// checker compares a JSON value with a type.
type checker struct{ problems []error }

func (c *checker) bad(path, format string, args ...any) {
	c.problems = append(c.problems, BadConfig(path, format, args...))
}

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (c *checker) value(path string, value any, ty reflect.Type) {
	pointer := reflect.PointerTo(ty)
	switch {
	case ty.Kind() == reflect.Pointer:
		if value != nil {
			c.value(path, value, ty.Elem())
		}
	case ty.Kind() == reflect.Interface:
	case pointer.Implements(unmarshaler), pointer.Implements(textUnmarshaler):
		c.own(path, value, ty)
	case value == nil:
		c.bad(path, "invalid type: null, expected %s", expected(ty))
	default:
		c.plain(path, value, ty)
	}
}

// own asks a type that reads itself.
func (c *checker) own(path string, value any, ty reflect.Type) {
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, reflect.New(ty).Interface())
	}
	var ours *problem
	switch {
	case err == nil:
	case errors.As(err, &ours):
		for _, p := range problemsOf(err) {
			c.problems = append(c.problems, &problem{Problem{join(path, p.Path), p.Message}, p.ofTable})
		}
	default:
		c.bad(path, "not a valid %s", ty.Name())
	}
}

func (c *checker) plain(path string, value any, ty reflect.Type) {
	fits := true
	switch ty.Kind() {
	case reflect.Bool:
		_, fits = value.(bool)
	case reflect.String:
		_, fits = value.(string)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		number, ok := value.(json.Number)
		_, err := strconv.ParseInt(string(number), 10, ty.Bits())
		fits = ok && err == nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		number, ok := value.(json.Number)
		_, err := strconv.ParseUint(string(number), 10, ty.Bits())
		fits = ok && err == nil
	case reflect.Float32, reflect.Float64:
		number, ok := value.(json.Number)
		float, err := strconv.ParseFloat(string(number), ty.Bits())
		fits = ok && err == nil && !math.IsInf(float, 0)
	case reflect.Slice, reflect.Array:
		list, ok := value.([]any)
		if fits = ok; ok {
			for i, element := range list {
				c.value(path+"["+strconv.Itoa(i)+"]", element, ty.Elem())
			}
		}
	case reflect.Map:
		fields, ok := value.(map[string]any)
		if fits = ok; ok {
			for _, name := range sorted(fields) {
				c.value(join(path, name), fields[name], ty.Elem())
			}
		}
	case reflect.Struct:
		fields, ok := value.(map[string]any)
		if fits = ok; ok {
			c.fields(path, fields, ty)
		}
	}
	if !fits {
		c.bad(path, "invalid type: %s, expected %s", kindOf(value), expected(ty))
	}
}

func (c *checker) fields(path string, fields map[string]any, ty reflect.Type) {
	var known []string
	for _, field := range reflect.VisibleFields(ty) {
		// the types that TinyGo's VisibleFields gives cannot be asked for anything
		field = ty.FieldByIndex(field.Index)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" || (field.Anonymous && name == "") {
			continue
		}
		if name == "" {
			name = field.Name
		}
		known = append(known, name)
		value, given := fields[name]
		switch {
		case given:
			c.value(join(path, name), value, field.Type)
		case field.Tag.Get("forebay") == "required":
			c.bad(path, "missing field `%s`", name)
		}
	}
	for _, name := range sorted(fields) {
		if !slices.Contains(known, name) {
			c.bad(join(path, name), "unknown field `%s`, expected %s", name, list(known))
		}
	}
}

func join(path, below string) string {
	if path == "" || below == "" || strings.HasPrefix(below, "[") {
		return path + below
	}
	return path + "." + below
}

func sorted(fields map[string]any) []string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func list(names []string) string {
	if len(names) == 0 {
		return "no fields"
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = "`" + name + "`"
	}
	last := len(quoted) - 1
	if last == 0 {
		return quoted[0]
	}
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}

func kindOf(value any) string {
	switch value.(type) {
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		return "number"
	case []any:
		return "list"
	default:
		return "map"
	}
}

func expected(ty reflect.Type) string {
	switch ty.Kind() {
	case reflect.Bool:
		return "a boolean"
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return fmt.Sprintf("a whole number of %d bits", ty.Bits())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("a whole number of %d bits, not below 0", ty.Bits())
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a map"
	default:
		return "something else"
	}
}
