// Command scale measures how the cost of a backup grows with the number of files, and the cost of an index with the
// number of blobs, without the disk that so many would need: the files are synthetic and empty, the blobs are names.
//
//	go run ./bench/scale                                   1 to 10 million of both; a few minutes, 2 GB below --dir
//	go run ./bench/scale --files 10000 --blobs 100000      a look
//	go run ./bench/scale --files "" --blobs 100000000      10^8 blobs: 7 GB below --dir
//
// Each size runs in a process of its own. Printed are the cost of each phase for a file or a blob, the highest anonymous
// memory, and how both compare with the smallest size: a phase that costs 20 % more for each is marked as bending.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/nacre-backup/nacre/bench/internal/proc"
)

// bend is how much dearer for each file or blob a phase may be than at the smallest size.
const bend = 1.20

// phase is what a part of a run cost.
type phase struct {
	Name string
	N    int // files or blobs
	CPU  float64
	Wall float64
	Anon int64   // bytes, the highest while it ran
	Note float64 // bytes of disk for each file or blob, where it has any
}

func main() {
	files := flag.String("files", "1000000,2000000,5000000,10000000", "`numbers` of files")
	blobs := flag.String("blobs", "1000000,2000000,5000000,10000000", "`numbers` of blobs; 32 bytes of disk each, twice that for a moment")
	dir := flag.String("dir", os.TempDir(), "`folder` for what has to be on disk")
	child := flag.String("child", "", "run one size: files=N or blobs=N")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *child != "" {
		err = runChild(ctx, *child, *dir)
	} else {
		fmt.Println(proc.Machine())
		err = curve(ctx, os.Stdout, "files", *files, *dir)
		if err == nil {
			err = curve(ctx, os.Stdout, "blobs", *blobs, *dir)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

// runChild measures one size and prints its phases as JSON.
func runChild(ctx context.Context, what, dir string) error {
	kind, number, _ := strings.Cut(what, "=")
	n, err := strconv.Atoi(number)
	if err != nil {
		return fmt.Errorf("--child %s: %w", what, err)
	}
	work, err := os.MkdirTemp(dir, "nacre-scale-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // a rest in the folder for temporary files
	var phases []phase
	if kind == "files" {
		phases, err = runFiles(ctx, n, work)
	} else {
		phases, err = runBlobs(ctx, n, work)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(phases)
}

// curve runs all sizes of a kind and prints the table.
func curve(ctx context.Context, w io.Writer, kind, sizes, dir string) error {
	if sizes == "" {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	base := map[string]phase{}
	fmt.Fprintf(w, "\n%-20s %10s %12s %12s %9s %12s  %s\n", "phase", kind, "CPU ns each", "wall ns each", "anon MiB", "disk B each", "CPU to the smallest")
	for _, size := range strings.Split(sizes, ",") {
		var out bytes.Buffer
		args := []string{self, "--child", kind + "=" + size, "--dir", dir}
		if _, err := proc.Run(ctx, proc.Command{Args: args, Stdout: &out}); err != nil {
			return err
		}
		var phases []phase
		if err := json.Unmarshal(out.Bytes(), &phases); err != nil {
			return fmt.Errorf("read what %s=%s printed: %w", kind, size, err)
		}
		for _, p := range phases {
			b, ok := base[p.Name]
			if !ok {
				base[p.Name], b = p, p
			}
			fmt.Fprintf(w, "%-20s %10d %12.0f %12.0f %9d %12.1f  %s\n", p.Name, p.N, 1e9*p.each(p.CPU), 1e9*p.each(p.Wall), p.Anon>>20, p.Note, p.against(b))
		}
	}
	return nil
}

func (p phase) each(v float64) float64 { return v / float64(max(1, p.N)) }

// against tells how the cost for each compares with that of the smallest size.
func (p phase) against(b phase) string {
	if b.CPU == 0 {
		return "-"
	}
	r := p.each(p.CPU) / b.each(b.CPU)
	if r > bend {
		return fmt.Sprintf("%.2f bends", r)
	}
	return fmt.Sprintf("%.2f", r)
}
