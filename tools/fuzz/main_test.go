package main

import "testing"

func TestOnlyTheRaceOfTheDeadlineIsExcused(t *testing.T) {
	for _, c := range []struct {
		name, out string
		want      bool
	}{
		{"race", "fuzz: elapsed: 5s, execs: 1 (0/sec)\n--- FAIL: FuzzX (5.02s)\n    context deadline exceeded\nFAIL\nexit status 1\n", true},
		{"crash", "--- FAIL: FuzzX (1.02s)\n    --- FAIL: FuzzX (0.00s)\n    panic\n    Failing input written to testdata/fuzz/FuzzX/1\nFAIL\n", false},
		{"failure with the same words", "--- FAIL: FuzzX (1.02s)\n    --- FAIL: FuzzX (0.00s)\n        x_test.go:3: context deadline exceeded\n    Failing input written to testdata/fuzz/FuzzX/1\nFAIL\n", false},
		{"hang", "--- FAIL: FuzzX (1.02s)\n    fuzzing process hung or terminated unexpectedly: exit status 2\nFAIL\n", false},
		{"build", "# x\nx.go:1: syntax error\nFAIL\n", false},
	} {
		if got := onlyLate([]byte(c.out)); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
