package backup

import (
	"context"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
	"github.com/nacre-backup/nacre/internal/view"
)

func TestTheNextBackupWritesLostIndexObjectsAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ms := b.store.(*mem.Store)
	b.someTree()
	b.backup()
	b.src.write("b/more", noise(5, 10_000))
	b.backup()
	lost := ms.Names(record.Indexes)
	for _, n := range lost {
		ms.Lose(n)
	}
	b.backup(func(o *Options) { o.SkipIfUnchanged = true })
	if n := len(ms.Names(record.Indexes)); n != 0 {
		t.Errorf("a run that commits nothing wrote %d index objects", n)
	}
	sum := b.backup() // nothing has changed
	if sum.DataPacks != 0 || sum.MetaPacks != 0 {
		t.Errorf("an unchanged backup stored %d and %d packs", sum.DataPacks, sum.MetaPacks)
	}
	if n := len(ms.Names(record.Indexes)); n != 1 {
		t.Errorf("%d index objects after the loss of %d", n, len(lost))
	}
	fs := fault.New(ms)
	reads := 0
	fs.SetHook(func(op fault.Op, name string) error {
		if op == fault.Get && (strings.HasPrefix(name, record.Data) || strings.HasPrefix(name, record.Meta)) {
			reads++
		}
		return nil
	})
	r, err := repo.Open(context.Background(), repo.OpenOptions{Store: fs, StateDir: t.TempDir(), Label: "another"})
	if err != nil {
		t.Fatal(err)
	}
	v, err := view.Open(context.Background(), r, view.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	if reads != 0 {
		t.Errorf("a machine without a cache made %d reads of packs", reads)
	}
	b.same()
}
