package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Wine 8 does not know the call by which Go removes a file under an open folder (os.RemoveAll, os.Root), and says so
// with a status that Go does not take for an old Windows. These are the words of Go's library where the statuses
// stand that make it take the older call.
const (
	oldStatuses = "STATUS_NOT_SUPPORTED: "
	newStatuses = "STATUS_NOT_SUPPORTED, NTStatus(0xC0000002): // or STATUS_NOT_IMPLEMENTED"
)

// overlay writes a file for the go command's -overlay which adds that status to Go's own list, and returns its path.
func overlay(ctx context.Context, tmp string) (string, error) {
	root, err := goWindows(ctx, []string{"env", "GOROOT"})
	if err != nil {
		return "", err
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src/internal/syscall/windows/at_windows.go")
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	if !bytes.Contains(text, []byte(oldStatuses)) {
		return "", fmt.Errorf("%s: %q stands there no more", source, oldStatuses)
	}
	changed := filepath.Join(tmp, "at_windows.go")
	if err := os.WriteFile(changed, bytes.Replace(text, []byte(oldStatuses), []byte(newStatuses), 1), 0o644); err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
	if err != nil {
		return "", err
	}
	path := filepath.Join(tmp, "overlay.json")
	return path, os.WriteFile(path, list, 0o644)
}
