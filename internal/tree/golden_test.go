package tree

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/zeebo/blake3"

	"github.com/nacre-backup/nacre/internal/id"
)

var rewrite = flag.Bool("update", false, "rewrite the golden files under testdata")

// vectors are tests of the format for any implementation: entries, keys, and the tree that they make, page by page in
// the order of writing.
type vectors struct {
	SplitKey  string        `json:"tree_split_key"`
	TreeKey   string        `json:"id_tree_key"`
	ExtentKey string        `json:"id_extent_key"`
	Entries   []goldenEntry `json:"entries"`
	Root      string        `json:"root_reference"`
	Pages     []goldenPage  `json:"pages"`
	Extents   []goldenList  `json:"extent_lists"`
}

type goldenPage struct {
	ID   string `json:"id"`
	Page string `json:"page"`
}

type goldenList struct {
	Extents []string     `json:"extents"` // "length id" or "length hole"
	Root    string       `json:"root"`
	Level   uint8        `json:"level"`
	Pages   []goldenPage `json:"pages"`
}

// goldenEntry is an entry as text; absent fields are zero.
type goldenEntry struct {
	Dir     string      `json:"dir"`  // hex
	Name    string      `json:"name"` // hex
	Type    Type        `json:"type"`
	Mode    uint32      `json:"mode"`
	UID     uint32      `json:"uid,omitempty"`
	GID     uint32      `json:"gid,omitempty"`
	User    string      `json:"user,omitempty"`
	Group   string      `json:"group,omitempty"`
	Mtime   *Time       `json:"mtime,omitempty"`
	Ctime   *Time       `json:"ctime,omitempty"`
	Btime   *Time       `json:"btime,omitempty"`
	Size    uint64      `json:"size,omitempty"`
	Content ContentKind `json:"content,omitempty"`
	Inline  string      `json:"inline,omitempty"`
	IDs     []string    `json:"ids,omitempty"`
	Level   uint8       `json:"level,omitempty"`
	Target  string      `json:"target,omitempty"`
	Blob    string      `json:"target_blob,omitempty"`
	Device  []uint32    `json:"device,omitempty"`
	Nlink   uint32      `json:"nlink,omitempty"`
	Link    string      `json:"link,omitempty"`
	Xattrs  []string    `json:"xattrs,omitempty"` // "name=value" or "name:size:blob", hex
	FSFlags uint32      `json:"fs_flags,omitempty"`
	Project uint32      `json:"project,omitempty"`
	Inode   uint64      `json:"inode,omitempty"`
	FS      string      `json:"fs,omitempty"`
	Token   string      `json:"token,omitempty"`
	Marks   Flags       `json:"marks,omitempty"`
	Error   ErrClass    `json:"error,omitempty"`
	Text    string      `json:"message,omitempty"`
}

func goldenOf(it item) goldenEntry {
	e := it.e
	hexID := func(i id.ID) string {
		if i.IsZero() {
			return ""
		}
		return i.String()
	}
	known := func(t Time) *Time {
		if t.IsZero() {
			return nil
		}
		return &t
	}
	g := goldenEntry{
		Dir: hex.EncodeToString([]byte(it.dir)), Name: hex.EncodeToString(e.Name), Type: e.Type, Mode: e.Mode, UID: e.UID, GID: e.GID,
		User: e.User, Group: e.Group, Mtime: known(e.ModTime), Ctime: known(e.ChangeTime), Btime: known(e.BirthTime),
		Size: e.Size, Content: e.Content.Kind, Inline: hex.EncodeToString(e.Content.Inline), Level: e.Content.Level,
		Target: hex.EncodeToString(e.Target), Blob: hexID(e.TargetBlob), Nlink: e.Nlink, FSFlags: e.FSFlags, Project: e.ProjectID,
		Inode: e.Inode, FS: e.FS, Token: hex.EncodeToString(e.Token), Marks: e.Flags, Error: e.ErrClass, Text: e.ErrText,
	}
	for _, i := range e.Content.IDs {
		g.IDs = append(g.IDs, i.String())
	}
	if e.Major != 0 || e.Minor != 0 {
		g.Device = []uint32{e.Major, e.Minor}
	}
	if e.Nlink > 1 {
		g.Link = e.Link.String()
	}
	for _, x := range e.Xattrs {
		if x.inline() {
			g.Xattrs = append(g.Xattrs, fmt.Sprintf("%x=%x", x.Name, x.Value))
		} else {
			g.Xattrs = append(g.Xattrs, fmt.Sprintf("%x:%d:%s", x.Name, x.Size, x.Blob))
		}
	}
	return g
}

// keyedPages names pages as a repository does.
type keyedPages struct {
	keys  map[Kind][32]byte
	pages []goldenPage
	byID  map[id.ID][]byte
}

func (k *keyedPages) Put(_ context.Context, kind Kind, page []byte) (i id.ID, err error) {
	key := k.keys[kind]
	h, err := blake3.NewKeyed(key[:])
	if err != nil {
		return i, err
	}
	_, _ = h.Write(page)
	h.Sum(i[:0])
	k.pages = append(k.pages, goldenPage{ID: i.String(), Page: hex.EncodeToString(page)})
	k.byID[i] = bytes.Clone(page)
	return i, nil
}

func (k *keyedPages) Page(_ context.Context, _ Kind, i id.ID) ([]byte, error) { return k.byID[i], nil }

func key32(b byte) (k [32]byte) {
	for i := range k {
		k[i] = b + byte(i)
	}
	return k
}

func TestGoldenVectors(t *testing.T) {
	t.Parallel()
	r := rng(2026)
	items := randomItems(r, 260)
	for i := range items {
		if i%4 == 0 {
			e := *items[i].e
			unusual(r, &e)
			items[i].e = &e
		}
	}
	k := &keyedPages{keys: map[Kind][32]byte{KindTree: key32(32), KindExtent: key32(64)}, byID: map[id.ID][]byte{}}
	split, tk, ek := key32(0), k.keys[KindTree], k.keys[KindExtent]
	v := vectors{SplitKey: hex.EncodeToString(split[:]), TreeKey: hex.EncodeToString(tk[:]), ExtentKey: hex.EncodeToString(ek[:])}
	b := NewBuilder(split, k)
	for _, it := range items {
		v.Entries = append(v.Entries, goldenOf(it))
		if err := b.Add(t.Context(), []byte(it.dir), it.e); err != nil {
			t.Fatal(err)
		}
	}
	root, err := b.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v.Root, v.Pages = hex.EncodeToString(AppendRef(nil, root)), k.pages
	sameItems(t, contents(t, k, root), items)
	for n, list := range [][]Extent{{{Length: 4096}}, randomExtents(1, 90, 4)} {
		k.pages = nil
		c := writeExtents(t, k, list)
		if n == 1 && len(k.pages) < 1 {
			t.Fatal("no pages")
		}
		g := goldenList{Root: c.IDs[0].String(), Level: c.Level, Pages: k.pages}
		for _, e := range list {
			if e.ID.IsZero() {
				g.Extents = append(g.Extents, fmt.Sprintf("%d hole", e.Length))
			} else {
				g.Extents = append(g.Extents, fmt.Sprintf("%d %s", e.Length, e.ID))
			}
		}
		v.Extents = append(v.Extents, g)
	}
	got, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	file := filepath.Join("testdata", "vectors.json")
	if *rewrite {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the tree of the golden entries has changed: the format is fixed, mend the code (or run with -update before the first release)")
	}
	if !slices.ContainsFunc(v.Pages, func(p goldenPage) bool { return p.Page[4:6] == "02" }) {
		t.Error("no interior page among the vectors")
	}
}

// TestTheGoldenPagesAreReadByAnyLaterVersion reads the committed bytes alone.
func TestTheGoldenPagesAreReadByAnyLaterVersion(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join("testdata", "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	k := &keyedPages{byID: map[id.ID][]byte{}}
	for _, p := range v.Pages {
		i, err := id.ParseID(p.ID)
		if err != nil {
			t.Fatal(err)
		}
		if k.byID[i], err = hex.DecodeString(p.Page); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := hex.DecodeString(v.Root)
	if err != nil {
		t.Fatal(err)
	}
	root, err := ParseRef(raw)
	if err != nil {
		t.Fatal(err)
	}
	var got []goldenEntry
	for _, it := range contents(t, k, root) {
		got = append(got, goldenOf(it))
	}
	x, _ := json.Marshal(got)
	y, _ := json.Marshal(v.Entries)
	if !bytes.Equal(x, y) {
		t.Errorf("read\n%s\nwant\n%s", x, y)
	}
}
