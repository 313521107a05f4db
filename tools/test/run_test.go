package main

import (
	"bytes"
	"strings"
	"testing"
)

const events = `{"Action":"start","Package":"github.com/nacre-backup/nacre/internal/a"}
{"Action":"output","Package":"github.com/nacre-backup/nacre/internal/a","Test":"TestOne","Output":"=== RUN   TestOne\n"}
{"Action":"pass","Package":"github.com/nacre-backup/nacre/internal/a","Test":"TestOne","Elapsed":0.1}
{"Action":"output","Package":"github.com/nacre-backup/nacre/internal/a","Test":"TestTwo","Output":"    two_test.go:7: needs root\n"}
{"Action":"skip","Package":"github.com/nacre-backup/nacre/internal/a","Test":"TestTwo","Elapsed":0}
{"Action":"output","Package":"github.com/nacre-backup/nacre/internal/a","Test":"TestThree","Output":"    three_test.go:9: got 1, want 2\n"}
{"Action":"fail","Package":"github.com/nacre-backup/nacre/internal/a","Test":"TestThree","Elapsed":0}
{"Action":"fail","Package":"github.com/nacre-backup/nacre/internal/a","Elapsed":0.2}
{"ImportPath":"github.com/nacre-backup/nacre/internal/b","Action":"build-output","Output":"b.go:3:1: syntax error\n"}
{"ImportPath":"github.com/nacre-backup/nacre/internal/b","Action":"build-fail"}
{"Action":"fail","Package":"github.com/nacre-backup/nacre/internal/b","Elapsed":0,"FailedBuild":"github.com/nacre-backup/nacre/internal/b"}
`

func TestEventsAreCountedWithTheirReasons(t *testing.T) {
	t.Parallel()
	res := &result{output: map[string]string{}}
	var out bytes.Buffer
	if err := res.read(strings.NewReader(events), &out); err != nil {
		t.Fatal(err)
	}
	res.print(&out)
	for _, want := range []string{
		"three_test.go:9: got 1, want 2",
		"b.go:3:1: syntax error",
		"skipped: internal/a TestTwo: needs root",
		"failed: internal/a TestThree",
		"failed: internal/b",
		"1 passed, 2 failed, 1 skipped\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
}
