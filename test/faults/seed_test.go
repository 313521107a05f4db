package faults

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// rng is the test's source of chance. Its seed is printed and can be given by NACRE_FAULT_SEED.
func rng(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if v := os.Getenv("NACRE_FAULT_SEED"); v != "" {
		var err error
		seed, err = strconv.ParseUint(v, 10, 64)
		must(t, err)
	}
	t.Logf("NACRE_FAULT_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
