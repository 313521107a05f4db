package main

import (
	"regexp"
	"strings"
)

// entry is something that Wine cannot show. Without a test it is the whole room.
type entry struct{ room, test, reason string }

const noSymlinks = "needs symbolic links, and Wine 8 makes none (no reparse points)"

// notShown is what no test of the rooms can show under Wine, beside those in the table.
var notShown = []string{
	"symbolic links, junctions, mounted folders, placeholders of files in a cloud: Wine 8 makes no reparse points",
	"sparse files: Wine declares none and lists no ranges",
	"times of creation: Wine makes them of the other times",
	"renaming over an open file with POSIX semantics, and removing one: Wine takes the older calls",
	"rights: Wine asks Linux, and nobody asks root",
	"what NTFS, ReFS and FAT do: Wine's files are Linux's, of a volume that calls itself NTFS",
	"what a power cut leaves: as on Linux, nothing of Windows' caches is there",
	"Ctrl-C in a console, and paths of shares",
}

// table lists what is not run. A test that fails because of our code on Windows never stands here.
var table = []entry{
	{"lint", "", "reads the source tree with the go command, which is not in the prefix"},
	{"source/files", "TestSymbolicLinksAreFollowedAsTold", noSymlinks},
	{"sink/files", "TestTimesOfCreationComeBack", "needs a system that keeps times of creation; Wine makes them of the other times"},
	{"restore", "TestWhatIsBelowADirectoryThatCannotBeMadeIsLeftOut", noSymlinks},
	{"restore", "TestOverwriteRulesHoldForWholeRuns", noSymlinks},
	{"restore", "TestPacksThatMoveAwayDuringARestoreAreFoundWhereTheyWent", noSymlinks},
	{"restore", "TestAHostileSnapshotWritesNothingOutsideAndNothingWrong", noSymlinks},
	{"restore", "TestAFilterTakesWhatItWantsAndTheDirectoriesToIt", "expects unix modes of directories"},
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
