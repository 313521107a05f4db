package restore_test

import "testing"

func allocated(*testing.T, string) (int64, bool) { return 0, false }
