// Package faultfs is about a file system for tests that fails on command: a FUSE mount that passes every call on to a
// folder, unless the test's rule answers it with an error first. It stands for the sticks, shares and broken disks that
// a test machine has not. It runs on Linux only; elsewhere the package is empty.
package faultfs
