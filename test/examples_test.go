package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// TestExamplesOfTheHelpWork runs the two examples of each command, as its help prints them, each pair in a home of its
// own with a repository and two snapshots.
func TestExamplesOfTheHelpWork(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs a POSIX shell")
	}
	for _, command := range commands(t) {
		t.Run(strings.Join(command, " "), func(t *testing.T) {
			t.Parallel()
			examples := examplesOf(t, command)
			if len(examples) != 2 {
				t.Fatalf("the help has %d examples, want 2", len(examples))
			}
			home := prepareHome(t, command[0] != "init")
			if strings.Join(command, " ") == "key passwd" { // it changes one that is there
				examples = append([]string{`nacre key add --new-password-file "$HOME/password"`}, examples...)
			}
			for _, e := range examples {
				out, code := shell(t, home, e)
				if code != 0 && !(command[0] == "diff" && code == 4) {
					t.Errorf("%s: exit code %d\n%s", e, code, out)
				}
			}
		})
	}
}

// commands lists the program's commands by walking through its help.
func commands(t *testing.T) (list [][]string) {
	t.Helper()
	name := regexp.MustCompile(`(?m)^  ([a-z]+) +[A-Z0-9]`)
	var walk func(prefix []string)
	walk = func(prefix []string) {
		help := helpOf(t, prefix)
		help, _, _ = strings.Cut(help, "\nTopics:")
		help, _, _ = strings.Cut(help, "\nFlags")
		for _, m := range name.FindAllStringSubmatch(help, -1) {
			c := append(append([]string(nil), prefix...), m[1])
			list = append(list, c)
			if strings.Contains(helpOf(t, c), "\nCommands:") {
				walk(c)
			}
		}
	}
	walk(nil)
	if len(list) < 15 {
		t.Fatalf("the help lists %d commands: %v", len(list), list)
	}
	return list
}

func helpOf(t *testing.T, command []string) string {
	t.Helper()
	out, err := exec.Command("nacre", append([]string{"help"}, command...)...).Output()
	if err != nil {
		t.Fatalf("help of %v: %v", command, err)
	}
	return string(out)
}

// examplesOf takes the examples out of a command's help.
func examplesOf(t *testing.T, command []string) (list []string) {
	t.Helper()
	_, text, _ := strings.Cut(helpOf(t, command), "\nExamples:\n")
	for _, l := range strings.Split(text, "\n") {
		if l = strings.TrimSpace(l); l != "" {
			list = append(list, l)
		}
	}
	return list
}

// prepareHome makes a home with documents, password files and, if wanted, two snapshots of the documents.
func prepareHome(t *testing.T, snapshots bool) string {
	t.Helper()
	home := t.TempDir()
	docs := filepath.Join(home, "Documents")
	if err := os.Mkdir(docs, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{
		filepath.Join(docs, "letter.txt"): "Dear reader,\n", filepath.Join(docs, "draft.tmp"): "x",
		filepath.Join(home, "password"): "correct horse\n", filepath.Join(home, "new-password"): "battery staple\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if snapshots {
		for _, line := range []string{
			`nacre backup -q "$HOME/Documents"`, `echo more >> "$HOME/Documents/letter.txt"`, `nacre backup -q "$HOME/Documents"`,
		} {
			if out, code := shell(t, home, line); code != 0 {
				t.Fatalf("%s: exit code %d\n%s", line, code, out)
			}
		}
	}
	return home
}

// shell runs a line with nothing but a home. $SLOT is the id of a key slot that can be removed.
func shell(t *testing.T, home, line string) (out string, code int) {
	t.Helper()
	if strings.Contains(line, "$SLOT") {
		line = `SLOT=$(nacre key add --new-password-file "$HOME/new-password" | sed 's/.*slot \([0-9a-f]*\).*/\1/'); ` + line
	}
	cmd := exec.Command("/bin/sh", "-c", line)
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TZ=UTC"}
	if dir := os.Getenv("GOCOVERDIR"); dir != "" {
		cmd.Env = append(cmd.Env, "GOCOVERDIR="+dir)
	}
	b, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}
