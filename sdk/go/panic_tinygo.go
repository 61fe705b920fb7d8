//go:build wasip1 && tinygo

package forebay

// withhold has nothing to do: TinyGo cannot recover on WebAssembly. Built with -panic=trap, as `forebay plugin build`
// does, a panic ends the instance without a word, so that nothing of a row is told.
func withhold() {}
