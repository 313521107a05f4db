//go:build unix && !linux

package files

import "testing"

func suiteStepByStep(*testing.T) {}
