package codec

const (
	sampleRuns   = 32                     // places that are looked at
	sampleLen    = 32                     // bytes at each place
	sampleBytes  = sampleRuns * sampleLen // 1,024
	minSampled   = 4 * sampleBytes        // shorter inputs are always tried
	noisePairs   = sampleBytes * (sampleBytes - 1) / 256
	noiseCeiling = noisePairs + noisePairs/10
)

// Incompressible reports whether p looks like noise. It counts how often each byte value stands in 1,024 bytes taken
// from 32 places, about 1 µs whatever the length, and then the ordered pairs of equal bytes: noise has 4,092, give or
// take 90; text has ten times as many, and where a tenth of p is text there are 10 % more already, which is where the
// line is drawn. It does not see repetitions of noise within p; deduplication finds those.
func Incompressible(p []byte) bool {
	if len(p) < minSampled {
		return false
	}
	var count [256]uint16
	step := (len(p) - sampleLen) / (sampleRuns - 1)
	for i := range sampleRuns {
		for _, b := range p[i*step:][:sampleLen] {
			count[b]++
		}
	}
	pairs := 0
	for _, n := range count {
		pairs += int(n) * (int(n) - 1)
	}
	return pairs <= noiseCeiling
}
