// Package chunk is about where a stream of bytes is cut, so that an edit changes the chunks near it and no others.
//
// A chunk may end after any byte at which two tests hold. The first looks at the 8 bytes before the end: two 32-bit
// multiplies by keyed constants, whose sum is large for one position in 1,024. It keeps no state between positions,
// so 32 of them are tested at once where the machine has AVX2, with the same answer as one by one. A position that
// passes is a candidate. The second test hashes the 64 bytes before the end with keyed seeds and compares the result
// with a threshold that depends on the length of the chunk so far: a low one up to the normal point, sixteen times as
// high after it, which draws the lengths together around the average. No chunk is shorter than half the average, but
// the last of a stream, and none is longer than four times the average.
//
// Promise: the cuts are a function of the key, the average and the bytes alone. They do not depend on the machine, on
// how the stream was divided into calls, or on what was cut before. docs/format/chunker.md says them to the byte.
// All constants come from the domain's chunk key, so that the lengths of the chunks of a known file tell nothing to
// who lacks it.
//
// The package holds no memory beyond a few constants per Chunker.
package chunk
