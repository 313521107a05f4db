//go:build !linux

package test

import "github.com/rogpeppe/go-internal/testscript"

func pty(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("needs Linux") }

func tmpfs(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("needs Linux") }

func canMount() bool { return false }
