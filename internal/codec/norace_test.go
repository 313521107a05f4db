//go:build !race

package codec

// slack is how much more a decoding may allocate; see race_test.go.
const slack = 0
