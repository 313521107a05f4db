package cli

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lestrrat-go/strftime"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/view"
)

// snapshotArgument is how the help names an argument that stands for a snapshot.
const snapshotArgument = "SNAPSHOT"

// find looks for the snapshot that a user names, and adds to a failure what helps.
func (a *app) find(w *view.View, name string) (*session.Snapshot, error) {
	s, err := w.Resolve(name)
	var many *view.AmbiguousError
	switch {
	case errors.As(err, &many):
		var list []string
		for _, c := range many.Candidates {
			list = append(list, shortID(c)+" of "+moment(c.Record.Time))
		}
		return nil, errs.WithHint(errs.As(errs.Usage, err), "it may be %s", strings.Join(list, ", "))
	case errors.Is(err, errs.NotFound):
		if len(w.Snapshots()) == 0 {
			return nil, errs.WithHint(errs.New(errs.NotFound, "snapshot %q: the repository has no snapshots yet", name),
				"%s makes one", a.onRepo("nacre backup PATH"))
		}
		return nil, errs.WithHint(err, "%s lists them; help snapshot-names tells how to name one", a.onRepo("nacre snapshots"))
	}
	return s, err
}

// findPath looks for SNAPSHOT or SNAPSHOT:PATH. Names and times may hold colons: the longest part that names a
// snapshot counts. The path is the one in the tree, and hasPath says that there was a colon.
func (a *app) findPath(w *view.View, arg string) (s *session.Snapshot, path []byte, hasPath bool, err error) {
	for end := len(arg); end > 0; end = strings.LastIndexByte(arg[:end], ':') {
		s, err := w.Resolve(arg[:end])
		if err == nil {
			if end == len(arg) {
				return s, nil, false, nil
			}
			p, err := treePath(arg[end+1:])
			return s, p, true, err
		}
	}
	name, _, _ := strings.Cut(arg, ":")
	_, err = a.find(w, name)
	if err == nil { // it was found in the loop, then
		err = errs.New(errs.NotFound, "snapshot %q", arg)
	}
	return nil, nil, false, err
}

// treePath turns a path that a user wrote into one of the tree: no slash at its ends, no "." and no "..". On Windows
// the volume is the first component, with a drive's letter in upper case, as a backup stores it.
func treePath(s string) ([]byte, error) {
	volume := filepath.VolumeName(s)
	rest := filepath.ToSlash(s[len(volume):])
	for _, c := range strings.Split(rest, "/") {
		if c == ".." {
			return nil, errs.New(errs.Usage, "path %q: write it without \"..\"", s)
		}
	}
	rest = path.Clean("/" + rest)
	if volume == "" {
		return []byte(rest[1:]), nil
	}
	if len(volume) == 2 {
		volume = strings.ToUpper(volume)
	}
	return []byte(strings.TrimSuffix(filepath.FromSlash(volume)+rest, "/")), nil
}

// shown writes a path of the tree as the user knows it.
func shown(p []byte) []byte {
	if i := strings.IndexByte(string(p), '/'); i > 0 && p[i-1] == ':' || len(p) == 2 && p[1] == ':' {
		return p // C:/...
	}
	return append([]byte("/"), p...)
}

// shortID is the part of an id that is shown; 8 digits are unique among 10,000 snapshots but once in a hundred
// repositories, and an ambiguous one is refused.
func shortID(s *session.Snapshot) string { return s.ID.String()[:8] }

func moment(ns int64) string { return time.Unix(0, ns).Local().Format("2006-01-02 15:04:05") }

// snapshotName expands the strftime fields of a name and checks that it can be told from other ways to name a
// snapshot.
func snapshotName(pattern string, t time.Time) (string, error) {
	if pattern == "" {
		return "", nil
	}
	f, err := strftime.New(pattern, strftime.WithMilliseconds('L'))
	if err != nil {
		return "", errs.WithHint(errs.New(errs.Usage, "name %q: %s", pattern, wrongField(pattern)), "write %%%% for a percent sign")
	}
	name := f.FormatString(t)
	wrong := ""
	switch {
	case len(name) > 255:
		wrong = "it has more than 255 bytes"
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		wrong = "it holds control characters"
	case strings.ContainsAny(name, "/~"):
		wrong = "it holds / or ~"
	case name == "latest" || name[0] == '@' || name[0] == '-':
		wrong = "it begins like another way to name a snapshot"
	case strings.TrimSpace(name) != name:
		wrong = "it begins or ends with a space"
	}
	if wrong != "" {
		return "", errs.New(errs.Usage, "name %q: %s", name, wrong)
	}
	return name, nil
}

// wrongField says which field of a name strftime does not know.
func wrongField(pattern string) string {
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '%' {
			continue
		}
		if i++; i == len(pattern) {
			return "a percent sign at its end begins no field"
		}
		if _, err := strftime.New(pattern[i-1:i+1], strftime.WithMilliseconds('L')); err != nil {
			return fmt.Sprintf("%q is no field of strftime", pattern[i-1:i+1])
		}
	}
	return "its fields are not understood"
}

// snapshotLine is a snapshot in JSON.
type snapshotLine struct {
	ID       string      `json:"id"`
	Short    string      `json:"short_id"`
	Name     string      `json:"name,omitempty"`
	Moment   string      `json:"snapshot_time"`
	Start    string      `json:"start"`
	End      string      `json:"end"`
	Host     string      `json:"host"`
	User     string      `json:"user,omitempty"`
	Paths    []jsonPath  `json:"paths"`
	Tags     []string    `json:"tags,omitempty"`
	Source   string      `json:"source"`
	Parent   string      `json:"parent,omitempty"`
	Original string      `json:"original,omitempty"`
	Program  string      `json:"program,omitempty"`
	Stats    statsJSON   `json:"stats"`
	Errors   []errorJSON `json:"errors,omitempty"`
}

type errorJSON struct {
	jsonPath
	Message string `json:"message"`
}

// statsJSON are a snapshot's figures.
type statsJSON struct {
	Files      uint64 `json:"files"`
	Dirs       uint64 `json:"directories"`
	Others     uint64 `json:"others"`
	Bytes      uint64 `json:"bytes"`
	New        uint64 `json:"new"`
	Changed    uint64 `json:"changed"`
	Unchanged  uint64 `json:"unchanged"`
	Moved      uint64 `json:"moved"`
	Failed     uint64 `json:"failed"`
	Removed    uint64 `json:"removed"`
	Read       uint64 `json:"read_bytes"`
	Original   uint64 `json:"added_bytes"`
	Compressed uint64 `json:"added_compressed_bytes"`
	Stored     uint64 `json:"stored_bytes"`
}

func statsOf(s record.Stats) statsJSON {
	return statsJSON{
		s.Files, s.Dirs, s.Others, s.Bytes, s.New, s.Changed, s.Unchanged, s.Moved, s.Failed, s.Removed,
		s.Read, s.Original, s.Compressed, s.Stored,
	}
}

func jsonTime(ns int64) string { return time.Unix(0, ns).Format(time.RFC3339Nano) }

func lineOf(id string, r *record.Snapshot) snapshotLine {
	l := snapshotLine{
		ID: id, Short: id[:min(8, len(id))], Name: r.Name, Moment: jsonTime(r.Time), Start: jsonTime(r.Start), End: jsonTime(r.End),
		Host: r.Host, User: r.User, Tags: r.Tags, Source: r.Source, Program: r.Program, Stats: statsOf(r.Stats), Paths: []jsonPath{},
	}
	if l.Source == "" {
		l.Source = "files"
	}
	for _, p := range r.Paths {
		l.Paths = append(l.Paths, pathJSON(p))
	}
	if !r.Parent.IsZero() {
		l.Parent = r.Parent.String()
	}
	if !r.Original.IsZero() {
		l.Original = r.Original.String()
	}
	for _, e := range r.Errors {
		l.Errors = append(l.Errors, errorJSON{pathJSON(shown(e.Path)), e.Text})
	}
	return l
}
