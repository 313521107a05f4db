// Command peers measures nacre beside other backup programs: the same operations on the same data, in turns, in one
// sitting. Figures of different sittings or machines are not to be compared; the ratios of one sitting are.
//
//	go run ./bench/peers --build                          build nacre, restic and kopia into --bin
//	go run ./bench/peers nacre,nacre-key,restic SRC       measure; the results go to --out, the tables to stdout
//	go run ./bench/peers --ops first,again nacre,restic,borg,find MID
//	go run ./bench/peers --scale 0.01 --root /tmp/toy --work /tmp/toy/run nacre,restic TINY
//	go run ./bench/peers --report                         the tables of the last sitting of each corpus
//
// Operations: first (make the repository and back up), again (nothing changed), day2 (after the corpus's second day),
// list, one (restore one file), restore (everything), check (reading all data). Restores go into a fresh ext4 mounted by
// loop where this process is root. Each command runs alone under --lock. Nothing but the runner's own commands is ever
// ended.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nacre-backup/nacre/bench/internal/corpus"
)

// options are what the command line says.
type options struct {
	root, work, bin, src, lock, file string
	scale                            float64
	ops                              []string
	short, long                      int
	limit                            time.Duration
	strace, keep, build, report      bool
}

func main() {
	base := "/tmp/nacre-bench"
	var o options
	var ops string
	flag.StringVar(&o.root, "root", filepath.Join(base, "corpus"), "`folder` of the corpora")
	flag.StringVar(&o.work, "work", filepath.Join(base, "peers"), "`folder` for repositories; it is deleted")
	flag.StringVar(&o.bin, "bin", filepath.Join(base, "bin"), "`folder` of programs, looked into before PATH")
	flag.StringVar(&o.src, "src", filepath.Join(base, "src"), "`folder` of checkouts that --build uses")
	flag.StringVar(&o.lock, "lock", filepath.Join(base, "lock"), "`file` that is locked while a command is measured")
	flag.StringVar(&o.file, "out", filepath.Join(base, "peers.jsonl"), "`file` that the results are added to")
	flag.Float64Var(&o.scale, "scale", 1, "of a corpus that has to be made")
	flag.StringVar(&ops, "ops", strings.Join(operations, ","), "`operations`")
	flag.IntVar(&o.short, "short", 5, "measure again, list and one `n` times")
	flag.IntVar(&o.long, "long", 1, "measure first, restore and check `n` times")
	flag.DurationVar(&o.limit, "limit", time.Hour, "give up an operation after this `time`")
	flag.BoolVar(&o.strace, "strace", false, "count the system calls of again and restore in another run of each")
	flag.BoolVar(&o.keep, "keep", false, "leave the repositories")
	flag.BoolVar(&o.build, "build", false, "build nacre and the peers first")
	flag.BoolVar(&o.report, "report", false, "only show the results")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: peers [flags] TOOL,... CORPUS\ntools: %s\n", strings.Join(toolNames(), " "))
		flag.PrintDefaults()
	}
	flag.Parse()
	o.ops = strings.Split(ops, ",")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.main(ctx, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func (o options) main(ctx context.Context, args []string) error {
	if o.build {
		if err := build(o.bin, o.src); err != nil {
			return err
		}
	}
	if len(args) == 2 {
		if err := o.measure(ctx, strings.Split(args[0], ","), args[1]); err != nil {
			return err
		}
	} else if !o.report {
		if o.build && len(args) == 0 {
			return nil
		}
		flag.Usage()
		os.Exit(2)
	}
	all, err := readResults(o.file)
	if err != nil {
		return err
	}
	return report(os.Stdout, all)
}

func (o options) measure(ctx context.Context, names []string, name string) error {
	for _, op := range o.ops {
		if !slices.Contains(operations, op) {
			return fmt.Errorf("no operation %q; there are %v", op, operations)
		}
	}
	out, err := os.OpenFile(o.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	r := &runner{
		options: o, corpus: corpus.Corpus{Root: o.root, Name: name, Scale: o.scale}, out: out, log: os.Stderr,
		start: time.Now().UTC().Format(time.RFC3339),
	}
	for _, n := range names {
		t, ok := tools[n]
		if !ok {
			return fmt.Errorf("no tool %q; there are %v", n, toolNames())
		}
		r.tools = append(r.tools, &contestant{tool: t, name: n})
	}
	err = r.run(ctx)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return err
}
