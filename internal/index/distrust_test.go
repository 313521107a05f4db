package index

import (
	"testing"

	"github.com/nacre-backup/nacre/internal/id"
)

func TestWhatIsRememberedIsDistrustedUntilItIsStoredAgain(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	remember := func(only bool, blobs ...int) {
		t.Helper()
		var list []id.Short
		for _, n := range blobs {
			list = append(list, e.short(n))
		}
		if err := Remember(e.repo, list, only); err != nil {
			t.Fatal(err)
		}
	}
	doubted := func(when string, want ...int) {
		t.Helper()
		_, x := e.begin(t)
		if x.Doubts() != (len(want) > 0) {
			t.Errorf("%s: Doubts is %v", when, x.Doubts())
		}
		in := map[int]bool{}
		for _, n := range want {
			in[n] = true
		}
		for n := range 6 {
			if x.Doubted(e.short(n)) != in[n] {
				t.Errorf("%s: blob %d: Doubted is %v", when, n, !in[n])
			}
		}
	}
	remember(false)
	doubted("nothing was remembered")
	remember(false, 1, 2)
	remember(false, 3)
	doubted("two lists were remembered", 1, 2, 3)
	remember(true, 2, 4)
	doubted("a list took the place of the others", 2, 4)

	_, x := e.begin(t)
	if err := x.Forgive(); err != nil {
		t.Fatal(err)
	}
	doubted("nothing was stored again", 2, 4)
	if x.Claim(e.short(4)) {
		t.Fatal("a distrusted blob was claimed as known")
	}
	if err := x.Forgive(); err != nil {
		t.Fatal(err)
	}
	doubted("one was stored again", 2)

	if err := e.repo.SaveState(distrustState, []byte("no whole number of ids")); err != nil {
		t.Fatal(err)
	}
	doubted("the memory is damaged")
	remember(true)
	doubted("the memory was emptied")
}
