module plugin-template

go 1.24

require github.com/forebay/forebay/sdk/go v0.0.0

replace github.com/forebay/forebay/sdk/go => ..
