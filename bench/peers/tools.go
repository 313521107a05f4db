package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// The operations, in their order.
const (
	first   = "first"   // make a repository and back up
	again   = "again"   // back up with nothing changed
	day2    = "day2"    // back up the second day
	list    = "list"    // list the snapshots
	one     = "one"     // restore one file
	restore = "restore" // restore everything
	check   = "check"   // check, reading all data
)

var operations = []string{first, again, day2, list, one, restore, check}

// password opens the repositories of a benchmark.
const password = "correct horse battery staple 9"

// tool is a program that is measured. Its commands are lines of words; {src}, {repo}, {work}, {dst}, {n}, {one} and {id}
// stand for places. An operation that it lacks is left out.
type tool struct {
	version string
	env     []string
	ops     map[string]string
	// id asks for {id}, what the tool calls the last snapshot, before restore and one: a command and what reads its
	// output.
	id     string
	readID func(out []byte) string
}

var tools = map[string]tool{
	"nacre":      nacre("nacre init -q {repo}", "", "NACRE_PASSWORD="+password),
	"nacre-key":  nacre("nacre init -q --encryption key {repo}", ""),
	"nacre-max":  nacre("nacre init -q {repo}", "--compression max", "NACRE_PASSWORD="+password),
	"nacre-fast": nacre("nacre init -q {repo}", "--compression fast", "NACRE_PASSWORD="+password),
	"restic": {
		version: "restic version",
		env:     []string{"RESTIC_PASSWORD=" + password, "RESTIC_REPOSITORY={repo}", "RESTIC_CACHE_DIR={work}/cache"},
		ops: map[string]string{
			first:   "restic init -q\nrestic backup -q {src}",
			again:   "restic backup -q {src}",
			day2:    "restic backup -q {src}",
			list:    "restic snapshots",
			one:     "restic restore -q latest --include {src}/{one} --target {dst}",
			restore: "restic restore -q latest --target {dst}",
			check:   "restic check -q --read-data",
		},
	},
	"kopia": {
		version: "kopia --version",
		env: []string{
			"KOPIA_PASSWORD=" + password, "KOPIA_CONFIG_PATH={work}/kopia.config", "KOPIA_CACHE_DIRECTORY={work}/cache",
			"KOPIA_LOG_DIR={work}/log", "KOPIA_CHECK_FOR_UPDATES=false", "HOME={work}",
		},
		ops: map[string]string{
			first:   "kopia repository create filesystem --path {repo}\nkopia snapshot create --no-progress {src}",
			again:   "kopia snapshot create --no-progress {src}",
			day2:    "kopia snapshot create --no-progress {src}",
			list:    "kopia snapshot list",
			one:     "kopia restore --no-progress {id}/{one} {dst}/one",
			restore: "kopia restore --no-progress {id} {dst}",
			check:   "kopia snapshot verify --verify-files-percent=100",
		},
		id: "kopia snapshot list --json", readID: kopiaRoot,
	},
	"borg": {
		version: "borg --version",
		env: []string{
			"BORG_PASSPHRASE=" + password, "BORG_REPO={repo}", "BORG_BASE_DIR={work}", "BORG_RELOCATED_REPO_ACCESS_IS_OK=yes",
		},
		ops: map[string]string{
			first:   "borg init -e repokey\nborg create ::s{n} {src}",
			again:   "borg create ::s{n} {src}",
			day2:    "borg create ::s{n} {src}",
			list:    "borg list",
			one:     "borg extract ::{id} {/src}/{one}",
			restore: "borg extract ::{id}",
			check:   "borg check --verify-data",
		},
		id: "borg list --short --last 1", readID: func(out []byte) string { return strings.TrimSpace(string(out)) },
	},
	"zpaq": {ops: map[string]string{first: "zpaq a {repo}.zpaq {src} -key k"}},
	// find is not a peer: it is what looking at every file costs.
	"find": {version: "find --version", ops: map[string]string{again: `find {src} -printf %p·%s·%T@·%i\n`}},
}

// nacre is this project's program, with a way to open its repository and options for backups.
func nacre(initialise, options string, env ...string) tool {
	backup := "nacre backup -q " + options + " {src}"
	return tool{
		version: "nacre version",
		env: append([]string{
			"NACRE_REPOSITORY={repo}", "NACRE_CACHE_DIR={work}/cache", "XDG_STATE_HOME={work}/state",
			"XDG_CONFIG_HOME={work}/config", "XDG_DATA_HOME={work}/data", "HOME={work}",
		}, env...),
		ops: map[string]string{
			first:   initialise + "\n" + backup,
			again:   backup,
			day2:    backup,
			list:    "nacre snapshots",
			one:     "nacre restore -q latest:{src}/{one} --target {dst}",
			restore: "nacre restore -q latest --target {dst}",
			check:   "nacre check -q --read-data",
		},
	}
}

// kopiaRoot reads the root object of the last snapshot.
func kopiaRoot(out []byte) string {
	var all []struct {
		RootEntry struct {
			Obj string `json:"obj"`
		} `json:"rootEntry"`
	}
	if err := json.Unmarshal(out, &all); err != nil || len(all) == 0 {
		return ""
	}
	return all[len(all)-1].RootEntry.Obj
}

// places are what the words in braces stand for.
type places struct {
	src, repo, work, dst, one, id string
	n                             int
}

func (p places) fill(s string) string {
	return strings.NewReplacer(
		"{src}", p.src, "{/src}", strings.TrimPrefix(p.src, "/"), "{repo}", p.repo, "{work}", p.work, "{dst}", p.dst,
		"{one}", p.one, "{id}", p.id, "{n}", strconv.Itoa(p.n),
	).Replace(s)
}

// commands are the argument lists of an operation.
func (p places) commands(lines, bin string) (all [][]string) {
	for line := range strings.Lines(lines) {
		args := strings.Fields(line)
		for i := range args {
			args[i] = p.fill(args[i])
		}
		if path, err := exec.LookPath(filepath.Join(bin, args[0])); err == nil {
			args[0] = path
		}
		all = append(all, args)
	}
	return all
}
