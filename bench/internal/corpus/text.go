package corpus

import (
	"math/rand/v2"
	"sort"
)

// words makes text that compresses about as text does: words of syllables, the frequent ones much more frequent.
type words struct {
	list []string
	sums []float64 // sums[i] is the weight of the words up to i
}

func newWords(r *rand.Rand, n int) *words {
	const consonants, vowels = "bcdfghjklmnprstvwz", "aeiou"
	w := &words{}
	total := 0.0
	for i := range n {
		var b []byte
		for range 1 + r.IntN(5) {
			b = append(b, consonants[r.IntN(len(consonants))], vowels[r.IntN(len(vowels))])
		}
		total += 1 / float64(i+8)
		w.list, w.sums = append(w.list, string(b)), append(w.sums, total)
	}
	return w
}

// append adds words to dst until it has n bytes; each line has about 80 if lines is set.
func (w *words) append(dst []byte, r *rand.Rand, n int, lines bool) []byte {
	for line := len(dst); len(dst) < n; {
		i := sort.SearchFloat64s(w.sums, r.Float64()*w.sums[len(w.sums)-1])
		dst = append(dst, w.list[min(i, len(w.list)-1)]...)
		if lines && len(dst)-line > 60 {
			dst = append(dst, '\n')
			line = len(dst)
		} else {
			dst = append(dst, ' ')
		}
	}
	return dst[:n]
}
