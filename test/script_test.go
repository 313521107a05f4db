package test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/zeebo/blake3"

	"github.com/nacre-backup/nacre/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"nacre": func() { os.Exit(cli.Main(os.Exit)) },
	})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUp,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"asuser":    asuser,
			"code":      code,
			"public":    public,
			"signalled": signalled,
			"text":      text,
			"lines":     lines,
			"pty":       pty,
			"same":      same,
			"tmpfs":     tmpfs,
			"format":    format,
			"grow":      grow,
			"word":      word,
		},
	})
}

// setUp gives a script an empty home, and none of the variables of whoever runs the tests.
func setUp(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	var kept []string
	for _, v := range env.Vars {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "NACRE_") && !strings.HasPrefix(name, "XDG_") && name != "CREDENTIALS_DIRECTORY" {
			kept = append(kept, v)
		}
	}
	env.Vars = append(kept, "HOME="+home, "USERPROFILE="+home, "LOCALAPPDATA="+filepath.Join(home, "local"), "APPDATA="+filepath.Join(home, "roaming"), "TZ=UTC")
	return nil
}

// condition knows what a script may need: [root], [user], [tmpfs].
func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Geteuid() == 0, nil
	case "user":
		return os.Geteuid() > 0, nil
	case "tmpfs":
		return os.Geteuid() == 0 && runtime.GOOS == "linux" && canMount(), nil
	case "setpriv":
		_, err := exec.LookPath("setpriv")
		return err == nil && os.Geteuid() == 0, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// code runs a program and compares its exit code: code N program [args...]. Use stdout and stderr afterwards.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N program [args...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		got = -1
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			got = exit.ExitCode()
		}
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s (%v)", got, args[0], err)
	}
}

// lines checks that standard output holds JSON lines with v, type and time, whose last one is of the given type, and
// that each of the further arguments stands in one of them: lines TYPE [text...].
func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: lines TYPE [text...]")
	}
	out := ts.ReadFile("stdout")
	last := ""
	for i, l := range strings.Split(strings.TrimSuffix(out, "\n"), "\n") {
		var head struct {
			V    int
			Type string
			Time string
		}
		if err := json.Unmarshal([]byte(l), &head); err != nil || head.V != 1 || head.Type == "" || head.Time == "" {
			ts.Fatalf("line %d is no event: %q (%v)", i+1, l, err)
		}
		last = head.Type
	}
	if last != args[0] {
		ts.Fatalf("the last line is of type %q, want %q:\n%s", last, args[0], out)
	}
	for _, want := range args[1:] {
		if !strings.Contains(out, want) {
			ts.Fatalf("no line holds %s:\n%s", want, out)
		}
	}
}

// same compares two trees by name, type, mode, content, link target and time: same DIR DIR. Negated, they must differ.
func same(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: same DIR DIR")
	}
	a, b := listing(ts, ts.MkAbs(args[0])), listing(ts, ts.MkAbs(args[1]))
	if (a == b) == neg {
		ts.Fatalf("trees %s and %s: same is %v\n%s\n---\n%s", args[0], args[1], a == b, a, b)
	}
}

func listing(ts *testscript.TestScript, root string) string {
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%q %s", rel, info.Mode())
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %d %q", info.ModTime().UnixNano(), content)
		case info.Mode()&os.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " -> %q", target)
		}
		b.WriteByte('\n')
		return nil
	})
	ts.Check(err)
	return b.String()
}

// format changes the version in a repository's nacre.json, with a good checksum: format DIR N.
func format(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: format DIR N")
	}
	path := filepath.Join(ts.MkAbs(args[0]), "nacre.json")
	file := strings.Replace(ts.ReadFile(path), `"version": 1`, `"version": `+args[1], 1)
	const sum = ",\n  \"check\": \""
	at := strings.LastIndex(file, sum)
	if at < 0 {
		ts.Fatalf("%s has no checksum", path)
	}
	hash := blake3.Sum256([]byte(file[:at]))
	file = file[:at+len(sum)] + hex.EncodeToString(hash[:]) + file[at+len(sum)+64:]
	ts.Check(os.Remove(path)) // objects are read-only
	ts.Check(os.WriteFile(path, []byte(file), 0o644))
}

// grow makes a file of so many bytes that do not compress: grow FILE BYTES.
func grow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: grow FILE BYTES")
	}
	var n int
	if _, err := fmt.Sscan(args[1], &n); err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
	p := make([]byte, n+8)
	x := uint64(88172645463325252)
	for i := 0; i < n; i += 8 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		for k := range 8 {
			p[i+k] = byte(x >> (8 * k))
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), p[:n], 0o644))
}

// word sets a variable to a word of the output: word NAME PREFIX takes the first word of standard output that follows
// the prefix.
func word(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: word NAME PREFIX")
	}
	_, after, ok := strings.Cut(ts.ReadFile("stdout"), args[1])
	f := strings.FieldsFunc(after, func(r rune) bool { return strings.ContainsRune(" \n\t\",:{}", r) })
	if !ok || len(f) == 0 {
		ts.Fatalf("no word follows %q in the output", args[1])
	}
	ts.Setenv(args[0], f[0])
}

// lookPath finds a program on the script's PATH.
func lookPath(ts *testscript.TestScript, name string) (string, error) {
	for _, dir := range strings.Split(ts.Getenv("PATH"), string(os.PathListSeparator)) {
		if path := dir + "/" + name; exec.Command(path).Err == nil {
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
		}
	}
	return "", exec.ErrNotFound
}

// environment is the script's environment, as far as programs need it.
func environment(ts *testscript.TestScript) (env []string) {
	for _, name := range []string{
		"PATH", "HOME", "TMPDIR", "TZ", "WORK", "NACRE_REPOSITORY", "NACRE_PASSWORD", "NACRE_KEYFILE", "XDG_CONFIG_HOME",
		"XDG_DATA_HOME", "TERM", "GOCOVERDIR", "NO_COLOR",
	} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// text makes a file of so many bytes of lines, which take a while to compress well: text FILE BYTES.
func text(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: text FILE BYTES")
	}
	var n int
	if _, err := fmt.Sscan(args[1], &n); err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
	var b bytes.Buffer
	x := uint64(88172645463325252)
	for i := 0; b.Len() < n; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		fmt.Fprintf(&b, "%s %d the user %x came from %d by way of %o and left\n", args[0], i, x>>40, x>>50, x&0xffff)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes()[:n], 0o644))
}
