package process

import (
	"os/exec"
	"runtime"
	"testing"
)

func TestDeathIsToldOnlyWhereItIsSure(t *testing.T) {
	t.Parallel()
	me := ID{Machine: "m", Boot: "b", Namespace: "n", PID: 1, Start: 5}
	there := func(uint64) (uint64, bool) { return 7, true }
	none := func(uint64) (uint64, bool) { return 0, false }
	untold := func(uint64) (uint64, bool) { return 0, true }
	tests := []struct {
		name   string
		p      ID
		lookup func(uint64) (uint64, bool)
		want   bool
	}{
		{"a process with its number and start lives", ID{"m", "b", "n", 9, 7}, there, true},
		{"a number used again is not the process", ID{"m", "b", "n", 9, 6}, there, false},
		{"a number that nobody has is dead", ID{"m", "b", "n", 9, 7}, none, false},
		{"a system that tells no start leaves it alive", ID{"m", "b", "n", 9, 7}, untold, true},
		{"a process before the last start of the system is dead", ID{"m", "a", "x", 9, 7}, there, false},
		{"a process of another machine counts as alive", ID{"o", "a", "n", 9, 7}, none, true},
		{"a process of an unknown machine counts as alive", ID{"", "a", "n", 9, 7}, none, true},
		{"a process of an unknown start of the system counts as alive", ID{"m", "", "n", 9, 7}, none, true},
		{"a process of another namespace counts as alive", ID{"m", "b", "c", 9, 7}, none, true},
	}
	for _, tt := range tests {
		if got := alive(tt.p, me, tt.lookup); got != tt.want {
			t.Errorf("%s: alive = %v", tt.name, got)
		}
	}
}

func TestThisProcessLivesAndAFinishedOneDoesNot(t *testing.T) {
	t.Parallel()
	me := Self()
	if me.PID == 0 || !Alive(me) {
		t.Fatalf("this process %+v counts as dead", me)
	}
	if runtime.GOOS != "linux" || me.Boot == "" || me.Machine == "" {
		t.Skip("needs Linux with /proc and a machine id")
	}
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child := me
	child.PID = uint64(cmd.Process.Pid)
	child.Start, _ = begin(child.PID)
	if !Alive(child) {
		t.Error("a running child counts as dead")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if Alive(child) {
		t.Error("a child that has ended counts as alive")
	}
}
