//go:build wasip1 && !tinygo

// Lets the package declare functions without a body, which go:linkname gives one.
