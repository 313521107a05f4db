//go:build !unix

package main

// lock does nothing here: one runner at a time is up to the user.
func lock(string) (unlock func(), err error) { return func() {}, nil }
