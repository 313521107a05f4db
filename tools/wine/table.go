package main

import (
	"regexp"
	"strings"
)

// entry is something that Wine cannot show. Without a test it is the whole room.
type entry struct{ room, test, reason string }

const noSymlinks = "needs symbolic links, and Wine 8 makes none (no reparse points)"

// table lists what is not run. A test that fails because of our code on Windows never stands here.
var table = []entry{
	{"lint", "", "reads the source tree with the go command, which is not in the prefix"},
	{"source/files", "TestSymbolicLinksAreFollowedAsTold", noSymlinks},
	{"restore", "TestWhatIsBelowADirectoryThatCannotBeMadeIsLeftOut", noSymlinks},
	{"restore", "TestOverwriteRulesHoldForWholeRuns", noSymlinks},
	{"restore", "TestAFilterTakesWhatItWantsAndTheDirectoriesToIt", "expects unix modes"},
	{"restore", "TestASnapshotComesBackAsItWas", noSymlinks},
	{"restore", "TestVerifyFindsWhatTheTargetSwallowed", noSymlinks},
	{"restore", "TestNoDamageYieldsAWrongByte", noSymlinks},
	{"restore", "TestAPartOfASnapshotGoesStraightIntoTheTarget", noSymlinks},
	{"restore", "TestADamagedPackCostsItsFilesAndNothingElse", noSymlinks},
}

// wholeRoom returns why nothing of a room can be shown, or "".
func wholeRoom(name string) string {
	for _, e := range table {
		if e.room == name && e.test == "" {
			return e.reason
		}
	}
	return ""
}

// skips returns the pattern for -test.skip of a room, or "".
func skips(name string) string {
	var patterns []string
	for _, e := range table {
		if e.room == name && e.test != "" {
			patterns = append(patterns, "^"+regexp.QuoteMeta(e.test)+"$")
		}
	}
	return strings.Join(patterns, "|")
}
