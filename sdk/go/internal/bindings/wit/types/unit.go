//go:build wasip1

// Copied from go.bytecodealliance.org/pkg, see ../../LICENSE. DO NOT EDIT!

package wit_types

type Unit struct{}
