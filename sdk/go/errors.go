package forebay

import (
	"errors"
	"fmt"
	"strings"
)

// A Problem is something that is wrong with the configuration, or does not fit the table.
type Problem struct {
	// Path is where in the configuration, as "columns.email.keep_last" or "rules[0]"; empty = all of it.
	Path string
	// Message is in words for people: no row values, no secrets, not the value that stands at the path.
	Message string
}

// problem is what BadConfig and BadTable make.
type problem struct {
	Problem
	ofTable bool
}

func (p *problem) Error() string {
	if p.Path == "" {
		return p.Message
	}
	return p.Path + ": " + p.Message
}

// BadConfig is an error of the configuration at a path (empty = all of it), whatever the table.
func BadConfig(path, format string, args ...any) error {
	return &problem{Problem{path, fmt.Sprintf(format, args...)}, false}
}

// BadTable is an error for what stands at a path of the configuration and does not fit the table.
func BadTable(path, format string, args ...any) error {
	return &problem{Problem{path, fmt.Sprintf(format, args...)}, true}
}

// At puts a path before those of an error's problems; nil stays nil.
func At(path string, err error) error {
	if err == nil {
		return nil
	}
	list := problemsOf(err)
	located := make([]error, len(list))
	for i, p := range list {
		p.Path = join(path, p.Path)
		located[i] = &p
	}
	return errors.Join(located...)
}

// Problems takes an error of an [Open] apart, joined errors included. ofTable = the configuration is fine, and does not
// fit the table.
func Problems(err error) (list []Problem, ofTable bool) {
	ofTable = true
	for _, p := range problemsOf(err) {
		list = append(list, p.Problem)
		ofTable = ofTable && p.ofTable
	}
	return list, ofTable && len(list) > 0
}

func problemsOf(err error) []problem {
	var list []problem
	switch e := err.(type) {
	case nil:
	case *problem:
		list = append(list, *e)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			list = append(list, problemsOf(one)...)
		}
	default:
		// an error around one of ours keeps its path
		var inner *problem
		if errors.As(err, &inner) {
			list = append(list, problem{Problem{inner.Path, strings.TrimSpace(err.Error())}, inner.ofTable})
		} else {
			list = append(list, problem{Problem{"", err.Error()}, false})
		}
	}
	return list
}
