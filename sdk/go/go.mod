module github.com/forebay/forebay/sdk/go

go 1.24
