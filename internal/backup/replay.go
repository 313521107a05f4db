package backup

import (
	"bufio"
	"container/heap"
	"context"
	"fmt"
	"os"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/tree"
)

// journalReader reads a dead run's journal in key order. The records stand in the order in which batches became
// ready; a batch leaves the window only after all before it, so none stands more than the window's length from its
// place: a heap of that many records puts them in order. Memory: the records of one window, 25 MiB at most as a rule.
type journalReader struct {
	file   *os.File
	in     *bufio.Reader
	path   string
	name   string
	n      uint64
	local  *crypt.Local
	head   head
	since  tree.Time
	ended  bool
	ready  batchHeap
	last   uint64 // 1 + the sequence number of the batch handed out last
	files  []journalFile
	stored func(id.ID) bool
	pages  tree.PageReader
}

// openJournal opens a journal. The result may be closed even after an error.
func openJournal(path, name string, local *crypt.Local) (*journalReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	j := &journalReader{file: f, in: bufio.NewReaderSize(f, 1<<16), path: path, name: name, local: local}
	rec, err := readRecord(j.in, local, recordName(name, 0))
	if err != nil {
		return j, err
	}
	j.n = 1
	var ok bool
	if j.head, ok = decodeHead(rec); !ok {
		return j, fmt.Errorf("journal %s: its first record does not decode", path)
	}
	j.since = before(j.head.start)
	return j, nil
}

// pastJournals are the journals of dead runs of the same job, the newest first.
type pastJournals []*journalReader

// find asks each journal, the newest first. Keys ascend from call to call.
func (p pastJournals) find(ctx context.Context, dir []byte, e *tree.Entry) *journalFile {
	for _, j := range p {
		if f := j.find(ctx, dir, e); f != nil {
			return f
		}
	}
	return nil
}

func (p pastJournals) close() {
	for _, j := range p {
		j.close()
	}
}

// find returns a file if the journal knows it and everything its content needs is stored. Keys ascend from call to
// call; the file is good until the next one.
func (j *journalReader) find(ctx context.Context, dir []byte, e *tree.Entry) *journalFile {
	k := tree.Key{Dir: dir, Name: e.Name}
	for {
		for len(j.files) > 0 && j.files[0].key.Compare(k) < 0 {
			j.files = j.files[1:]
		}
		if len(j.files) > 0 {
			break
		}
		if !j.next() {
			return nil
		}
	}
	f := &j.files[0]
	if f.key.Compare(k) != 0 || f.entry.Size != e.Size || !sameStat(e, f.entry.Stat()) {
		return nil
	}
	last := e.ChangeTime
	if last.IsZero() {
		last = e.ModTime
	}
	if !last.Less(j.since) || !j.whole(ctx, f) {
		return nil
	}
	return f
}

// whole says whether everything that a file's content needs is stored, but for the pages of an extent list that the
// journal has itself.
func (j *journalReader) whole(ctx context.Context, f *journalFile) bool {
	c := f.entry.Content
	if list := f.pieces.list; len(list) > 0 {
		for i := range list {
			if p := &list[i]; !p.id.IsZero() && !j.stored(p.id) {
				return false
			}
		}
		return true
	}
	if c.Kind == tree.Extents {
		missing := fmt.Errorf("a blob is missing")
		err := tree.WalkExtentPages(ctx, j.pages, c, func(i id.ID, _ uint8) (bool, error) {
			if !j.stored(i) {
				return false, missing
			}
			return true, nil
		}, func(x tree.Extent) error {
			if !x.ID.IsZero() && !j.stored(x.ID) {
				return missing
			}
			return nil
		})
		return err == nil
	}
	for _, i := range c.IDs {
		if !j.stored(i) {
			return false
		}
	}
	return true
}

// next takes the next batch.
func (j *journalReader) next() bool {
	for !j.ended && len(j.ready) < 2*windowBatches {
		rec, err := readRecord(j.in, j.local, recordName(j.name, j.n))
		if err != nil { // the end, torn or not
			j.ended = true
			break
		}
		j.n++
		seq, files, ok := decodeBatch(rec)
		if !ok {
			j.ended = true
			break
		}
		if seq >= j.last {
			heap.Push(&j.ready, readyBatch{seq, files})
		}
	}
	if len(j.ready) == 0 {
		return false
	}
	b := heap.Pop(&j.ready).(readyBatch)
	j.last, j.files = b.seq+1, b.files
	return true
}

func (j *journalReader) close() {
	if j == nil || j.file == nil {
		return
	}
	_ = j.file.Close() // it was only read
	j.file = nil
}

// readyBatch is a record that waits for its turn.
type readyBatch struct {
	seq   uint64
	files []journalFile
}

// batchHeap has the smallest sequence number on top.
type batchHeap []readyBatch

func (h batchHeap) Len() int           { return len(h) }
func (h batchHeap) Less(i, j int) bool { return h[i].seq < h[j].seq }
func (h batchHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *batchHeap) Push(x any) { *h = append(*h, x.(readyBatch)) }

// Pop implements heap.Interface.
func (h *batchHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
