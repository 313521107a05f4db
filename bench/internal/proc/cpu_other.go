//go:build !unix

package proc

// CPU is not known here.
func CPU() float64 { return 0 }
