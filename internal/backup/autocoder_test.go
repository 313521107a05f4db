package backup

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/nacre-backup/nacre/internal/codec"
)

func TestAutoCompressesHarderWhileTheStoreIsBehind(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	for i := range 4000 {
		fmt.Fprintf(&text, "line %d of %d, the square is %d\n", i, i%7, i*i)
	}
	src := text.Bytes()
	behind := false
	c := &autoCoder{behind: func() bool { return behind }, fast: newCoder(codec.Fastest)}
	for _, step := range []struct {
		behind bool
		level  codec.Level
	}{{false, codec.Fastest}, {true, codec.Default}, {false, codec.Fastest}} {
		behind = step.behind
		id, got := c.Encode(nil, src)
		_, want := newCoder(step.level).Encode(nil, src)
		if !bytes.Equal(got, want) {
			t.Errorf("behind %v: %d bytes, want the %d of level %d", behind, len(got), len(want), step.level)
		}
		if back, err := c.Decode(nil, id, got, len(src)); err != nil || !bytes.Equal(back, src) {
			t.Errorf("behind %v: it does not decode: %v", behind, err)
		}
	}
	// What looks like noise is stored as it is, at either level.
	noise := make([]byte, 64<<10)
	for i, x := 0, uint64(1); i < len(noise); i++ {
		x = x*6364136223846793005 + 1442695040888963407
		noise[i] = byte(x >> 56)
	}
	for _, behind = range []bool{false, true} {
		if id, p := c.Encode(nil, noise); id != codec.Raw || !bytes.Equal(p, noise) {
			t.Errorf("behind %v: noise is stored with codec %d in %d bytes", behind, id, len(p))
		}
	}
}
