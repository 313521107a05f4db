package mem

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Names returns the sorted names that start with prefix.
func (s *Store) Names(prefix string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var names []string
	for name := range s.objects {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Bytes returns a copy of an object, or nil if it is not there.
func (s *Store) Bytes(name string) []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.objects[name]
	if !ok {
		return nil
	}
	return append([]byte{}, o.data...)
}

// Size returns the sum of the sizes of the objects whose names start with prefix.
func (s *Store) Size(prefix string) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var sum int64
	for name, o := range s.objects {
		if strings.HasPrefix(name, prefix) {
			sum += int64(len(o.data))
		}
	}
	return sum
}

// Corrupt replaces the bytes of an object by what change makes of a copy of them. It panics if the object is not
// there: a test that damages nothing would show nothing.
func (s *Store) Corrupt(name string, change func([]byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[name]
	if !ok {
		panic(fmt.Sprintf("mem: no object %s to corrupt", name))
	}
	o.data = change(append([]byte{}, o.data...))
	s.objects[name] = o
	s.durable[name] = o
}

// FlipBit is a Corrupt that flips one bit, counted from the first byte's lowest; a negative one counts from the end.
func (s *Store) FlipBit(name string, bit int) {
	s.Corrupt(name, func(b []byte) []byte {
		if bit < 0 {
			bit += 8 * len(b)
		}
		b[bit/8] ^= 1 << (bit % 8)
		return b
	})
}

// Set puts bytes under a name whatever was there, now and after a power cut.
func (s *Store) Set(name string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := object{data: append([]byte{}, data...)}
	s.objects[name] = o
	s.durable[name] = o
}

// Lose takes an object away, now and after a power cut. It panics if the object is not there.
func (s *Store) Lose(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.objects[name]; !ok {
		panic(fmt.Sprintf("mem: no object %s to lose", name))
	}
	delete(s.objects, name)
	delete(s.durable, name)
}

// Clone returns an independent store with the same objects.
func (s *Store) Clone() *Store {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return &Store{register: s.register, objects: maps.Clone(s.objects), durable: maps.Clone(s.durable)}
}

// AfterPowerCut returns an independent store with what would be left if the power failed now: the state at the last
// Flush. Objects deleted since are back.
func (s *Store) AfterPowerCut() *Store {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return &Store{register: s.register, objects: maps.Clone(s.durable), durable: maps.Clone(s.durable)}
}
