// Command cover measures the statement coverage of the rooms on which everything rests and fails if one has less than
// its bar:
//
//	go run ./tools/cover
package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
)

// bar is the least coverage in percent, and rooms are those held to it.
const bar = 90.0

var rooms = []string{"chunk", "codec", "crypt", "segment", "pack", "tree", "index", "repo"}

var percent = regexp.MustCompile(`internal/(\w+)\s.*coverage: ([0-9.]+)% of statements`)

func main() {
	args := []string{"test", "-cover", "-count=1", "-timeout=20m"}
	for _, r := range rooms {
		args = append(args, "./internal/"+r)
	}
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		fmt.Printf("%s\n%v\n", out, err)
		os.Exit(1)
	}
	found := map[string]float64{}
	for _, m := range percent.FindAllStringSubmatch(string(out), -1) {
		if found[m[1]], err = strconv.ParseFloat(m[2], 64); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	failed := false
	for _, r := range rooms {
		p, ok := found[r]
		fmt.Printf("%-8s %5.1f %%\n", r, p)
		if !ok || p < bar {
			fmt.Printf("%s: below %.0f %%\n", r, bar)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}
