package main

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"strings"
	"testing"
)

func TestTheLibraryIsAnImageWhoseExportForwards(t *testing.T) {
	t.Parallel()
	f, err := pe.NewFile(bytes.NewReader(randomDLL()))
	if err != nil {
		t.Fatal(err)
	}
	header := f.OptionalHeader.(*pe.OptionalHeader64)
	data, err := f.Section(".edata").Data()
	if err != nil {
		t.Fatal(err)
	}
	text := func(address uint32) string {
		s, _, _ := strings.Cut(string(data[address-dllSection:]), "\x00")
		return s
	}
	word := func(address uint32) uint32 { return binary.LittleEndian.Uint32(data[address-dllSection:]) }
	directory := header.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_EXPORT]
	at := directory.VirtualAddress
	functions, names := word(at+28), word(at+32)
	if got := text(word(at + 12)); got != dllName {
		t.Errorf("the library calls itself %q", got)
	}
	if got := text(word(names)); got != dllExport {
		t.Errorf("it exports %q", got)
	}
	// A function's address inside the directory is what makes it a forward.
	forward := word(functions)
	if forward < at || forward >= at+directory.Size {
		t.Fatalf("the export leads to %#x, outside the directory", forward)
	}
	if got := text(forward); got != dllImport {
		t.Errorf("it forwards to %q", got)
	}
}
