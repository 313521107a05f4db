// Package fusefs is about a file system that fails on demand: a tree in memory, mounted by FUSE, whose calls return
// the errors that a test asks for, answer short, or stop answering because the file system goes away. It is for tests
// on Linux only.
package fusefs
