//go:build !portable

package files

import (
	"os/exec"
	"testing"
)

// TestThePortableCallsPassTheSameTests builds the package as for a system that nothing is known of, and runs the tests
// that are not about Linux alone. Other systems only compile and link in CI; this shows that what they run works.
func TestThePortableCallsPassTheSameTests(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "test", "-tags", "portable", "-count=1", "-timeout=5m", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
