//go:build race

package tree

// raceEnabled makes long tests shorter under the race detector, which is ten times slower.
const raceEnabled = true
