// Command corpus makes the data that the benchmarks back up (package bench/internal/corpus says what it is), turns it
// into its second day and back:
//
//	go run ./bench/corpus make SRC            into --root, /tmp/nacre-bench/corpus
//	go run ./bench/corpus --scale 0.01 make TINY
//	go run ./bench/corpus mutate SRC; go run ./bench/corpus undo SRC
//	go run ./bench/corpus info SRC
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"

	"github.com/nacre-backup/nacre/bench/internal/corpus"
)

func main() {
	root := flag.String("root", "/tmp/nacre-bench/corpus", "`folder` of the corpora")
	scale := flag.Float64("scale", 1, "make TINY, BIG and generated text `x` times as large")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: corpus [--root DIR] [--scale X] make|mutate|undo|info SRC|MID|TINY|BIG")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), corpus.Corpus{Root: *root, Name: flag.Arg(1), Scale: *scale}); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

func run(verb string, c corpus.Corpus) error {
	switch verb {
	case "make":
		if err := c.Make(); err != nil {
			return err
		}
	case "mutate":
		return c.Mutate()
	case "undo":
		return c.Undo()
	case "info":
	default:
		return fmt.Errorf("no command %q", verb)
	}
	made, err := c.Info()
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // it may be another's making
		return err
	}
	now, err := c.Count()
	if err != nil {
		return err
	}
	now.Made, now.Scale = made.Made, made.Scale
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	_, err = fmt.Println(string(text))
	return err
}
