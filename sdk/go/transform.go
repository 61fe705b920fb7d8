package forebay

// A Transform is bound to one version of one table.
//
// One value serves many batches, one after the other. It may be made anew between two of them, so nothing may depend on
// what earlier batches held.
type Transform interface {
	// Plan says what is read and changed; asked once.
	Plan() *Plan
	// Apply transforms a batch. It is never called where the plan computes nothing, filters nothing and routes
	// nothing.
	//
	// An error fails the batch: the router looks for the event at fault and puts it to the dead letters. To let the
	// rest of the batch pass, return a [Reject] for the image instead.
	Apply(batch *Batch) (*Output, error)
}

// HostOnly is embedded by transforms whose plan the router carries out alone, so that they need no Apply.
type HostOnly struct{}

// Apply is never called.
func (HostOnly) Apply(*Batch) (*Output, error) { return &Output{}, nil }

// Info says who a plugin is.
type Info struct {
	// Name is short, lower case, without spaces.
	Name string
	// Version is the plugin's own.
	Version string
	// Description is one sentence.
	Description string
	// Secrets are the places of the configuration where secrets stand, with * for any key or index, as
	// "columns.*.hash.key". Only references to secrets are accepted there, so that none is written down in plain;
	// open is given the secret itself.
	Secrets []string
}

// Open binds a transform to a table. What is wrong with the configuration or the table is told with [BadConfig] and
// [BadTable], all of it at once with errors.Join: it is what the operator reads, and the route does not start.
type Open[C any] func(table *Table, config C) (Transform, error)

// plugin is what Export was given, with the type of the configuration closed over.
type plugin struct {
	info Info
	open func(table *Table, config string) (Transform, error)
}

var exported *plugin

// Export makes the program a plugin. Call it once, from an init function of package main.
//
// The route's configuration is read into C as [ParseConfig] does.
func Export[C any](info Info, open Open[C]) {
	if exported != nil {
		panic("forebay.Export was called twice")
	}
	exported = &plugin{info: info, open: func(table *Table, text string) (Transform, error) {
		config, err := ParseConfig[C](text)
		if err != nil {
			return nil, err
		}
		return open(table, config)
	}}
}

// Level says how much a log line matters.
type Level uint8

// The levels, from the least to the most.
const (
	Debug Level = iota
	Information
	Warning
	Failure
)

// Log writes a log line: at most 8 KiB, and some 20 a second. Never put a row's value into one. In native tests it does
// nothing.
func Log(level Level, message string) { log(level, message) }
