// Package lint holds the rules of the house that no general linter knows, as tests: which room may import which, and
// which calls belong to one room alone. It has no code of its own.
package lint
