//go:build !wasip1

package forebay

func log(Level, string) {}
