// Package test holds the tests of the whole program: scripts of what a user types (script/), the examples of the help,
// and runs on a terminal. It has no code of its own.
package test
