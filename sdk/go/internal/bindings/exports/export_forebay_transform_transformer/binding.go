//go:build wasip1

// Package export_forebay_transform_transformer is where the generated bindings look for what a plugin does. This file is
// written by hand: it hands everything on to the SDK above.
package export_forebay_transform_transformer

import (
	runtime "github.com/forebay/forebay/sdk/go/internal/pin"

	types "github.com/forebay/forebay/sdk/go/internal/bindings/imports/forebay_transform_types"
	wit "github.com/forebay/forebay/sdk/go/internal/bindings/wit/types"
)

// A Transform is what the SDK makes of a plugin's.
type Transform interface {
	Plan() types.Plan
	Apply(types.Batch) (types.Output, *types.Error)
}

// What the SDK sets before anything is called.
var (
	DescribePlugin func() types.PluginInfo
	OpenTransform  func(types.TableSchema, string) (Transform, *types.Error)
)

// Binding is the resource that the host holds; the generated code knows its first two fields.
type Binding struct {
	pinner runtime.Pinner
	handle int32

	transform Transform
}

// OnDrop is called when the host lets go of it.
func (b *Binding) OnDrop() { b.transform = nil }

// Describe says who the plugin is.
func Describe() types.PluginInfo { return DescribePlugin() }

// BindingOpen binds.
func BindingOpen(schema types.TableSchema, config string) wit.Result[*Binding, types.Error] {
	transform, err := OpenTransform(schema, config)
	if err != nil {
		return wit.Err[*Binding](*err)
	}
	return wit.Ok[*Binding, types.Error](&Binding{transform: transform})
}

// Plan is asked once.
func (b *Binding) Plan() types.Plan { return b.transform.Plan() }

// Apply transforms a batch.
func (b *Binding) Apply(batch types.Batch) wit.Result[types.Output, types.Error] {
	output, err := b.transform.Apply(batch)
	if err != nil {
		return wit.Err[types.Output](*err)
	}
	return wit.Ok[types.Output, types.Error](output)
}
