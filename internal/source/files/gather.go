package files

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"github.com/nacre-backup/nacre/internal/tree"
)

// gatherer collects the names of one directory: in memory, and above limit names in sorted runs on disk.
type gatherer struct {
	list  *names
	limit int
	temp  func() (*tempFile, error)
	runs  *tempFile
	ends  []int64 // where each run ends
}

// maxNames is how many names of one directory are held in memory.
const maxNames = 1 << 20

// maxArena bounds the bytes of the names in memory; offsets into them are 32 bits wide.
const maxArena = 1 << 28

func (g *gatherer) add(name []byte, typ tree.Type) error {
	if len(g.list.ents) >= g.limit || len(g.list.arena) > maxArena {
		if err := g.flush(); err != nil {
			return fmt.Errorf("sort the names of a large directory: %w", err)
		}
	}
	g.list.add(name, typ)
	return nil
}

// addRoots adds the roots that were named in a directory; finish drops those that the listing has too.
func (g *gatherer) addRoots(n *rootNode) error {
	if n == nil {
		return nil
	}
	for _, c := range n.children {
		if err := g.add([]byte(c.name), 0); err != nil {
			return err
		}
	}
	return nil
}

// mayHold reports whether a name may be in the listing; a listing in memory knows.
func (g *gatherer) mayHold(name []byte) bool {
	if g.runs != nil {
		return true
	}
	for i := range g.list.ents {
		if e := &g.list.ents[i]; int(e.len) == len(name) && bytes.Equal(g.list.name(e), name) {
			return true
		}
	}
	return false
}

// flush writes what is in memory as a run.
func (g *gatherer) flush() error {
	if g.runs == nil {
		f, err := g.temp()
		if err != nil {
			return err
		}
		g.runs = f
	}
	g.list.sort()
	w := bufio.NewWriterSize(g.runs, 256<<10)
	for i := range g.list.ents {
		e := &g.list.ents[i]
		var head [3]byte
		binary.LittleEndian.PutUint16(head[:], e.len)
		head[2] = byte(e.typ)
		_, _ = w.Write(head[:]) // Flush returns the first error
		_, _ = w.Write(g.list.name(e))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	g.ends = append(g.ends, g.runs.size)
	g.list.reset()
	return nil
}

// finish returns the names in order.
func (g *gatherer) finish() (supplier, error) {
	if g.runs == nil {
		g.list.sort()
		return &memorySupply{list: g.list}, nil
	}
	if err := g.flush(); err != nil {
		g.discard()
		return nil, fmt.Errorf("sort the names of a large directory: %w", err)
	}
	g.list.shrink()
	m := &mergeSupply{runs: g.runs}
	var begin int64
	for _, end := range g.ends {
		r := &run{r: bufio.NewReaderSize(io.NewSectionReader(g.runs.f, begin, end-begin), 64<<10)}
		begin = end
		if ok, err := r.step(); err != nil {
			g.discard()
			return nil, err
		} else if ok {
			m.heads = append(m.heads, r)
		}
	}
	heap.Init(&m.heads)
	return m, nil
}

func (g *gatherer) discard() {
	if g.runs != nil {
		g.runs.close()
	}
}

// run is a sorted run that is being read.
type run struct {
	r    *bufio.Reader
	name []byte
	typ  tree.Type
}

// step reads the next name, and reports whether there was one.
func (r *run) step() (bool, error) {
	var head [3]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		return false, fmt.Errorf("read the names of a large directory: %w", err)
	}
	r.name = append(r.name[:0], make([]byte, binary.LittleEndian.Uint16(head[:]))...)
	r.typ = tree.Type(head[2])
	if _, err := io.ReadFull(r.r, r.name); err != nil {
		return false, fmt.Errorf("read the names of a large directory: %w", err)
	}
	return true, nil
}

type runHeap []*run

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return bytes.Compare(h[i].name, h[j].name) < 0 }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)        { *h = append(*h, x.(*run)) }
func (h *runHeap) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	*h = (*h)[:last]
	return r
}

// mergeSupply merges the runs of a large directory.
type mergeSupply struct {
	runs  *tempFile
	heads runHeap
	last  []byte
	any   bool // last is set
}

func (m *mergeSupply) next() (*batch, bool, error) {
	list := &names{}
	for len(m.heads) > 0 && len(list.ents) < batchSize {
		r := m.heads[0]
		if !m.any || !bytes.Equal(m.last, r.name) {
			list.add(r.name, r.typ)
			m.last, m.any = append(m.last[:0], r.name...), true
		}
		ok, err := r.step()
		switch {
		case err != nil:
			return nil, true, err
		case ok:
			heap.Fix(&m.heads, 0)
		default:
			heap.Pop(&m.heads)
		}
	}
	return &batch{names: list, hi: len(list.ents)}, len(m.heads) == 0, nil
}

func (m *mergeSupply) close() { m.runs.close() }

// tempFile is a file for as long as it is open: where the system allows it, it has no name.
type tempFile struct {
	f     *os.File
	size  int64
	named bool
	once  sync.Once
}

func newTempFile(dir string) (*tempFile, error) {
	f, err := os.CreateTemp(dir, "nacre-names-*")
	if err != nil {
		return nil, err
	}
	t := &tempFile{f: f, named: runtime.GOOS == "windows"}
	if !t.named {
		t.named = os.Remove(f.Name()) != nil
	}
	return t, nil
}

// Write appends.
func (t *tempFile) Write(p []byte) (int, error) {
	n, err := t.f.WriteAt(p, t.size)
	t.size += int64(n)
	return n, err
}

// close may be called several times.
func (t *tempFile) close() {
	t.once.Do(func() {
		_ = t.f.Close() // what was in it is of no use any more
		if t.named {
			_ = os.Remove(t.f.Name()) // the best that can be done
		}
	})
}
