package corpus

import (
	"fmt"
	"os"
	"path/filepath"
)

// makeTINY makes five parts of directories with 100 files each; p0 alone is a fifth of everything.
func (c Corpus) makeTINY() ([]string, error) {
	r := seeded(2)
	w := newWords(r, 6000)
	var text []byte
	for part := range 5 {
		for d := range max(1, int(2000*c.Scale)) {
			dir := filepath.Join(c.Dir(), fmt.Sprintf("p%d", part), fmt.Sprintf("d%04d", d))
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return nil, err
			}
			for f := range 100 {
				size := r.IntN(2048)
				text = fmt.Appendf(text[:0], "%x\n", r.Uint64())
				text = w.append(text, r, max(size, len(text)), false)
				if err := write(filepath.Join(dir, fmt.Sprintf("f%02d.txt", f)), text[:size]); err != nil {
					return nil, err
				}
			}
		}
	}
	return []string{"generated words"}, nil
}
