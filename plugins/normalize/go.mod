module github.com/forebay/forebay/plugins/normalize

go 1.24

require github.com/forebay/forebay/sdk/go v0.1.0

replace github.com/forebay/forebay/sdk/go => ../../sdk/go
