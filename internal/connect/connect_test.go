package connect

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/errs"
)

func TestLocationsAreParsed(t *testing.T) {
	t.Parallel()
	abs, err := filepath.Abs("repo")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Dir(abs)
	for text, want := range map[string]string{
		"repo": abs, "./repo/": abs, abs: abs, "file://" + abs: abs, "file:" + abs: abs, "./s3:bucket": filepath.Join(root, "s3:bucket"),
		"a b:c": filepath.Join(root, "a b:c"),
	} {
		l, err := ParseLocation(text)
		if err != nil || l.Path != want || l.Scheme != "file" {
			t.Errorf("%q: got %+v, %v; want %q", text, l, err, want)
		}
	}
	for _, text := range []string{"", "s3:bucket", "sftp://host/path", "file:relative", "rest:http://host/"} {
		if l, err := ParseLocation(text); !errors.Is(err, errs.Usage) {
			t.Errorf("%q: got %+v, %v; want a usage error", text, l, err)
		}
	}
}

func TestALocationsPasswordIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"sftp://me:hunter2@host/path", "s3:https://key:hunter2@host/bucket", "file://me:hunter2@host/path"} {
		_, err := ParseLocation(text)
		if err == nil || strings.Contains(err.Error()+errs.Hint(err), "hunter2") {
			t.Errorf("%v, hint %q", err, errs.Hint(err))
		}
	}
}

func TestAFolderIsMadeOnlyOnRequest(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	l, err := ParseLocation(filepath.Join(t.TempDir(), "new", "repository"))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := OpenStore(ctx, l, false); !errors.Is(err, errs.NoRepository) && !errors.Is(err, errs.NotFound) {
		t.Fatalf("a missing folder: got %v, %v", s, err)
	}
	s, err := OpenStore(ctx, l, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := OpenStore(ctx, Location{Scheme: "none"}, true); !errors.Is(err, errs.Usage) {
		t.Errorf("an unknown scheme: got %v", err)
	}
}
