//go:build race

package codec

// slack is how much more a decoding may allocate: under the race detector a sync.Pool drops what it gets at random, and
// the library makes its buffer for the output anew.
const slack = 18 << 20
