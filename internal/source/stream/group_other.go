//go:build !unix

package stream

import "os/exec"

// ownGroup does nothing here: the command alone is killed.
func ownGroup(cmd *exec.Cmd) { cmd.Cancel = func() error { return cmd.Process.Kill() } }
