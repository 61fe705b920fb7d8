//go:build wasip1 && tinygo

package forebay

// isLiteral cannot be told here.
func isLiteral(string) bool { return false }
