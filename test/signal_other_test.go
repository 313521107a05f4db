//go:build !unix

package test

import "github.com/rogpeppe/go-internal/testscript"

func signalled(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("needs signals") }

func public(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("needs users") }

func asuser(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("needs users") }
