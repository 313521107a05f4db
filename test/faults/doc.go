// Package faults is about what goes wrong: its tests run the built program, kill it, take its disk away, damage what it
// stored and get in its way, and look whether everything holds that was promised. It has no code of its own.
//
// The moments at which runs are killed are drawn from a seed that the tests print; NACRE_FAULT_SEED=N draws them again.
package faults
