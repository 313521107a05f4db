// Package fault is about a store that fails on command: the n-th call, once or from then on, before it was done, after
// it was done (a lost answer) or in its middle, and bytes that come back wrong. Tests run a verb with n = 1, 2, ...
// until nothing failed any more, and look after each run whether anything was lost:
//
//	for n := 1; ; n++ {
//		f := fault.New(inner, fault.Rule{N: n})
//		... run the verb on f ...
//		if f.Fired() == 0 {
//			break
//		}
//		... check inner, run again without faults ...
//	}
//
// It offers the extras of the store that it wraps, each call of them counted too.
package fault

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/store"
)

// Op is a set of calls.
type Op uint16

// The calls. A Stream's Write and Commit count as calls of their own.
const (
	Put Op = 1 << iota
	PutIfAbsent
	Flush
	Get
	Stat
	List
	Delete
	Stream
	Write
	Commit

	// Any is every call.
	Any Op = 1<<iota - 1
	// Creates are the calls that give an object its name.
	Creates = Put | PutIfAbsent | Commit
	// Changes are the calls that change what is in the store, or make it durable.
	Changes = Creates | Delete | Flush
	// Reads are the calls that change nothing.
	Reads = Get | Stat | List
)

// When says how far a failing call gets.
type When uint8

// The ways to fail.
const (
	// Before fails without doing anything.
	Before When = iota
	// After does all of it and loses the answer.
	After
	// Torn leaves the first Keep bytes of the object under its name, which no store of the family does: for tests of
	// what happens if one did. A Get yields Keep bytes before it fails, a List Keep names. Other calls fail as Before.
	Torn
)

// Err is the error of a failure whose rule names none. It has no kind.
var Err = errors.New("fault: injected failure")

// Rule makes calls fail. A call counts for a rule if its Op and its name match.
type Rule struct {
	Op      Op     // the calls; zero is Any
	Prefix  string // of the object's name, or of List's prefix; Flush and Stream have an empty name
	N       int    // the n-th call that counts fails, from 1; zero means the first
	Lasting bool   // and every later one
	When    When
	Keep    int64 // for Torn
	Err     error // nil is Err
}

// Store wraps a store with rules. It may be used by several goroutines; which call is the n-th is then up to them.
type Store struct {
	inner store.Store

	mu     sync.Mutex
	rules  []rule
	counts map[Op]int
	fired  int
	hook   func(op Op, name string) error
	damage func(name string, off int64, b []byte)
}

type rule struct {
	Rule
	seen int
}

// New wraps inner.
func New(inner store.Store, rules ...Rule) *Store {
	s := &Store{inner: inner, counts: map[Op]int{}}
	s.SetRules(rules...)
	return s
}

// SetRules replaces the rules; their counts begin anew.
func (s *Store) SetRules(rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
	for _, r := range rules {
		if r.Op == 0 {
			r.Op = Any
		}
		if r.N == 0 {
			r.N = 1
		}
		if r.Err == nil {
			r.Err = Err
		}
		s.rules = append(s.rules, rule{Rule: r})
	}
}

// SetHook has fn called before each call, after the rules; its error fails the call before it does anything. It may
// block, and may use the wrapped store: so a test interleaves two programs. Nil removes it.
func (s *Store) SetHook(fn func(op Op, name string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = fn
}

// SetDamage has fn change the bytes that Get yields: b begins at off in the object. Nil removes it.
func (s *Store) SetDamage(fn func(name string, off int64, b []byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.damage = fn
}

// FlipBit is a SetDamage that flips one bit of one object, counted from the first byte's lowest.
func (s *Store) FlipBit(name string, bit int64) {
	s.SetDamage(func(got string, off int64, b []byte) {
		if i := bit/8 - off; got == name && i >= 0 && i < int64(len(b)) {
			b[i] ^= 1 << (bit % 8)
		}
	})
}

// Calls returns how many calls of the set there were.
func (s *Store) Calls(ops Op) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for op, c := range s.counts {
		if op&ops != 0 {
			n += c
		}
	}
	return n
}

// Fired returns how many calls were made to fail by a rule.
func (s *Store) Fired() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fired
}

// Inner returns the wrapped store.
func (s *Store) Inner() store.Store { return s.inner }

// verdict is what the rules say of one call.
type verdict struct {
	err  error
	when When
	keep int64
}

func (v verdict) before() error {
	if v.when == Before || v.when == Torn {
		return v.err
	}
	return nil
}

// begin counts a call and judges it.
func (s *Store) begin(op Op, name string) verdict {
	s.mu.Lock()
	s.counts[op]++
	var v verdict
	for i := range s.rules {
		r := &s.rules[i]
		if r.Op&op == 0 || !strings.HasPrefix(name, r.Prefix) {
			continue
		}
		r.seen++
		if v.err == nil && (r.seen == r.N || r.seen > r.N && r.Lasting) {
			v = verdict{r.Err, r.When, r.Keep}
			s.fired++
		}
	}
	hook := s.hook
	s.mu.Unlock()
	if v.err == nil && hook != nil {
		v.err = hook(op, name)
	}
	return v
}

// do runs a call that can fail before or after.
func (s *Store) do(op Op, name string, call func() error) error {
	v := s.begin(op, name)
	if err := v.before(); err != nil {
		return err
	}
	if err := call(); err != nil {
		return err
	}
	return v.err
}

// create is do for calls that give content a name, which can also be torn.
func (s *Store) create(ctx context.Context, op Op, name string, c store.Content, call func() error) error {
	v := s.begin(op, name)
	if v.err != nil && v.when == Torn {
		return errors.Join(v.err, s.inner.Put(ctx, name, cut{c, min(v.keep, c.Size())}))
	}
	if err := v.before(); err != nil {
		return err
	}
	if err := call(); err != nil {
		return err
	}
	return v.err
}

// cut is the beginning of a content.
type cut struct {
	store.Content
	size int64
}

func (c cut) Size() int64 { return c.size }

func (c cut) Open() (io.ReadCloser, error) {
	r, err := c.Content.Open()
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(r, c.size), r}, nil
}

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, name string, c store.Content) error {
	return s.create(ctx, Put, name, c, func() error { return s.inner.Put(ctx, name, c) })
}

// Flush implements store.Store.
func (s *Store) Flush(ctx context.Context) error {
	return s.do(Flush, "", func() error { return s.inner.Flush(ctx) })
}

// Stat implements store.Store.
func (s *Store) Stat(ctx context.Context, name string) (info store.Info, err error) {
	err = s.do(Stat, name, func() error { info, err = s.inner.Stat(ctx, name); return err })
	if err != nil {
		return store.Info{}, err
	}
	return info, nil
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, name string) error {
	return s.do(Delete, name, func() error { return s.inner.Delete(ctx, name) })
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	v := s.begin(List, prefix)
	if v.err != nil && v.when == Before {
		return v.err
	}
	left := v.keep
	if err := s.inner.List(ctx, prefix, func(i store.Info) error {
		if v.err != nil && v.when == Torn {
			if left == 0 {
				return v.err
			}
			left--
		}
		return fn(i)
	}); err != nil {
		return err
	}
	return v.err
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, name string, r store.Range, fn func(io.Reader) error) error {
	v := s.begin(Get, name)
	if v.err != nil && v.when == Before {
		return v.err
	}
	s.mu.Lock()
	damage := s.damage
	s.mu.Unlock()
	if err := s.inner.Get(ctx, name, r, func(in io.Reader) error {
		if v.err != nil && v.when == Torn {
			in = io.MultiReader(io.LimitReader(in, v.keep), broken{v.err})
		}
		if damage != nil {
			in = &damaged{in, name, r.Offset, damage}
		}
		return fn(in)
	}); err != nil {
		return err
	}
	return v.err
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

type damaged struct {
	in   io.Reader
	name string
	off  int64
	fn   func(name string, off int64, b []byte)
}

func (d *damaged) Read(p []byte) (int, error) {
	n, err := d.in.Read(p)
	d.fn(d.name, d.off, p[:n])
	d.off += int64(n)
	return n, err
}

// Close implements store.Store. It never fails by a rule.
func (s *Store) Close() error { return s.inner.Close() }

// errTorn says that a rule cannot be obeyed.
var errTorn = errs.New(errs.Usage, "fault: a stream cannot be torn; tear Put or PutIfAbsent")

// joinAbort drops a stream that failed by a rule.
func joinAbort(err error, w store.Stream) error { return errors.Join(err, w.Abort()) }
