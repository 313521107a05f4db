package record

import "github.com/nacre-backup/nacre/internal/id"

// MaxErrors is how many errors a snapshot carries; Stats.Failed counts them all.
const MaxErrors = 1000

// Snapshot is the inner part of a fate of kind Commit or Checkpoint, which only readers can open. Times are
// nanoseconds since 1970. Strings are UTF-8; what is not is replaced when they are encoded.
type Snapshot struct {
	Host string
	User string
	// Paths are the roots as the user named them, made absolute; raw bytes of the source's names.
	Paths [][]byte
	Tags  []string
	Name  string
	// Time is the moment that the snapshot stands for: Start, unless the user said otherwise.
	Time       int64
	Start, End int64
	// Root is the encoded reference of the tree's root page (FORMAT.md section 13), and Domain says whose keys its
	// pages and blobs have.
	Root     []byte
	Domain   id.Domain
	Stats    Stats
	Errors   []Error // the first MaxErrors
	Parent   id.Session
	Excludes []string
	Program  string
	// Upto is the key up to which a checkpoint's tree holds what the run has read; above it stands what the parent
	// has. It is nil in a finished snapshot.
	Upto *Upto
	// Original is the snapshot that this one was made from by copy, tag, rewrite or undelete.
	Original id.Session
	// Source is the kind of source: "files", "stdin", "command". Empty counts as "files".
	Source string
}

// Upto is a key of the tree.
type Upto struct {
	Dir  []byte
	Name []byte
}

// Error is an entry that could not be read.
type Error struct {
	Path  []byte
	Class uint8 // tree.ErrClass
	Text  string
}

// Stats are a snapshot's figures.
type Stats struct {
	Files      uint64 // regular files in the tree
	Dirs       uint64
	Others     uint64 // symlinks, devices, sockets, FIFOs
	Bytes      uint64 // of content of the tree's files, each hard link counted once
	New        uint64 // entries by verdict, directories included
	Changed    uint64
	Unchanged  uint64
	Moved      uint64
	Failed     uint64
	Removed    uint64
	Read       uint64 // bytes read from the source
	Original   uint64 // bytes of the blobs that this run added, before compression
	Compressed uint64 // the same after compression
	Stored     uint64 // bytes of the packs and index objects that this run wrote
}

type wireUpto struct {
	_    struct{} `cbor:",toarray"`
	Dir  []byte
	Name []byte
}

type wireError struct {
	_     struct{} `cbor:",toarray"`
	Path  []byte
	Class uint8
	Text  string
}

type wireStats struct {
	Files      uint64 `cbor:"1,keyasint,omitempty"`
	Dirs       uint64 `cbor:"2,keyasint,omitempty"`
	Others     uint64 `cbor:"3,keyasint,omitempty"`
	Bytes      uint64 `cbor:"4,keyasint,omitempty"`
	New        uint64 `cbor:"5,keyasint,omitempty"`
	Changed    uint64 `cbor:"6,keyasint,omitempty"`
	Unchanged  uint64 `cbor:"7,keyasint,omitempty"`
	Moved      uint64 `cbor:"8,keyasint,omitempty"`
	Failed     uint64 `cbor:"9,keyasint,omitempty"`
	Removed    uint64 `cbor:"10,keyasint,omitempty"`
	Read       uint64 `cbor:"11,keyasint,omitempty"`
	Original   uint64 `cbor:"12,keyasint,omitempty"`
	Compressed uint64 `cbor:"13,keyasint,omitempty"`
	Stored     uint64 `cbor:"14,keyasint,omitempty"`
}

type wireSnapshot struct {
	Host     string      `cbor:"1,keyasint,omitempty"`
	User     string      `cbor:"2,keyasint,omitempty"`
	Paths    [][]byte    `cbor:"3,keyasint,omitempty"`
	Tags     []string    `cbor:"4,keyasint,omitempty"`
	Name     string      `cbor:"5,keyasint,omitempty"`
	Time     int64       `cbor:"6,keyasint,omitempty"`
	Start    int64       `cbor:"7,keyasint,omitempty"`
	End      int64       `cbor:"8,keyasint,omitempty"`
	Root     []byte      `cbor:"9,keyasint"`
	Domain   bytes16     `cbor:"10,keyasint"`
	Stats    wireStats   `cbor:"11,keyasint"`
	Errors   []wireError `cbor:"12,keyasint,omitempty"`
	Parent   bytes16     `cbor:"13,keyasint,omitzero"`
	Excludes []string    `cbor:"14,keyasint,omitempty"`
	Program  string      `cbor:"15,keyasint,omitempty"`
	Upto     *wireUpto   `cbor:"16,keyasint,omitempty"`
	Original bytes16     `cbor:"17,keyasint,omitzero"`
	Source   string      `cbor:"18,keyasint,omitempty"`
}

// Encode gives the snapshot's bytes. Errors beyond MaxErrors are left out.
func (s *Snapshot) Encode() ([]byte, error) {
	list := s.Errors[:min(len(s.Errors), MaxErrors)]
	w := &wireSnapshot{
		Host: text(s.Host), User: text(s.User), Paths: s.Paths, Tags: texts(s.Tags), Name: text(s.Name), Time: s.Time, Start: s.Start, End: s.End,
		Root: s.Root, Domain: bytes16(s.Domain), Stats: wireStats(s.Stats),
		Errors: convert(list, func(e Error) wireError { return wireError{Path: e.Path, Class: e.Class, Text: text(e.Text)} }),
		Parent: bytes16(s.Parent), Excludes: texts(s.Excludes), Program: text(s.Program), Original: bytes16(s.Original),
		Source: text(s.Source),
	}
	if s.Upto != nil {
		w.Upto = &wireUpto{Dir: s.Upto.Dir, Name: s.Upto.Name}
	}
	return marshal("snapshot", w)
}

// DecodeSnapshot reads a snapshot.
func DecodeSnapshot(b []byte) (*Snapshot, error) {
	var w wireSnapshot
	if err := unmarshal("snapshot", b, &w); err != nil {
		return nil, err
	}
	if len(w.Errors) > MaxErrors {
		return nil, bad("snapshot", "%d errors, at most %d are allowed", len(w.Errors), MaxErrors)
	}
	s := &Snapshot{
		Host: w.Host, User: w.User, Paths: w.Paths, Tags: w.Tags, Name: w.Name, Time: w.Time, Start: w.Start, End: w.End,
		Root: w.Root, Domain: id.Domain(w.Domain), Stats: Stats(w.Stats),
		Errors: convert(w.Errors, func(e wireError) Error { return Error{Path: e.Path, Class: e.Class, Text: e.Text} }),
		Parent: id.Session(w.Parent), Excludes: w.Excludes, Program: w.Program, Original: id.Session(w.Original),
		Source: w.Source,
	}
	if w.Upto != nil {
		s.Upto = &Upto{Dir: w.Upto.Dir, Name: w.Upto.Name}
	}
	return s, nil
}
