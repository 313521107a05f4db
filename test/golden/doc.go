// Package golden tests the format across time and across languages. testdata/golden at the top of the checkout holds
// small repositories as earlier versions wrote them, with what opens them and a manifest of what is in them: today's
// program and the second reader, testdata/reader, must list and restore both these and one that today's program makes.
// It has no code of its own.
//
// go test ./test/golden -run TestGolden -update writes the repositories anew; after the first release they are only
// added to.
package golden
