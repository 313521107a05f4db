package main

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"strings"
)

const (
	dllImport    = "advapi32.SystemFunction036"
	dllName      = "bcryptprimitives.dll"
	dllExport    = "ProcessPrng"
	dllSection   = 0x1000 // where the only section stands in memory
	dllAlignment = 0x200  // and in the file
)

// randomDLL returns a library without code whose one export, ProcessPrng, leads to the older function that Wine has.
// Go's runtime takes its random seed from ProcessPrng and does not start without it; Wine knows it only from version 9
// on. Both functions take a buffer and its length and answer true.
func randomDLL() []byte {
	section := exports()
	var out bytes.Buffer
	write := func(part any) { _ = binary.Write(&out, binary.LittleEndian, part) } // a bytes.Buffer takes everything
	dos := make([]byte, 64)
	copy(dos, "MZ")
	binary.LittleEndian.PutUint32(dos[60:], uint32(len(dos))) // where the next header begins
	write(dos)
	write([]byte("PE\x00\x00"))
	write(pe.FileHeader{
		Machine:              pe.IMAGE_FILE_MACHINE_AMD64,
		NumberOfSections:     1,
		SizeOfOptionalHeader: uint16(binary.Size(pe.OptionalHeader64{})),
		Characteristics:      pe.IMAGE_FILE_EXECUTABLE_IMAGE | pe.IMAGE_FILE_LARGE_ADDRESS_AWARE | pe.IMAGE_FILE_DLL,
	})
	header := pe.OptionalHeader64{
		Magic:                 0x20b, // 64 bits
		SizeOfInitializedData: dllAlignment,
		ImageBase:             0x180000000,
		SectionAlignment:      dllSection,
		FileAlignment:         dllAlignment,
		MajorSubsystemVersion: 6, MajorOperatingSystemVersion: 6,
		SizeOfImage:         2 * dllSection,
		SizeOfHeaders:       dllAlignment,
		Subsystem:           pe.IMAGE_SUBSYSTEM_WINDOWS_CUI,
		DllCharacteristics:  pe.IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE | pe.IMAGE_DLLCHARACTERISTICS_NX_COMPAT,
		NumberOfRvaAndSizes: 16,
	}
	header.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_EXPORT] = pe.DataDirectory{
		VirtualAddress: dllSection, Size: uint32(len(section)), // an address in here is a name to forward to
	}
	write(header)
	write(pe.SectionHeader32{
		Name:             [8]uint8{'.', 'e', 'd', 'a', 't', 'a'},
		VirtualSize:      uint32(len(section)),
		VirtualAddress:   dllSection,
		SizeOfRawData:    dllAlignment,
		PointerToRawData: dllAlignment,
		Characteristics:  pe.IMAGE_SCN_CNT_INITIALIZED_DATA | pe.IMAGE_SCN_MEM_READ,
	})
	out.Write(make([]byte, dllAlignment-out.Len()))
	out.Write(section)
	out.Write(make([]byte, 2*dllAlignment-out.Len()))
	return out.Bytes()
}

// exports returns the section: the directory, its three tables of one line each, and the strings.
func exports() []byte {
	const tables = dllSection + 40
	const texts = tables + 4 + 4 + 2
	name := uint32(texts)
	export := name + uint32(len(dllName)) + 1
	forward := export + uint32(len(dllExport)) + 1
	var out bytes.Buffer
	for _, part := range []any{
		uint32(0), uint32(0), uint32(0), // flags, time, version
		name,
		uint32(1), uint32(1), uint32(1), // first ordinal, functions, names
		uint32(tables), uint32(tables + 4), uint32(tables + 8),
		forward, export, uint16(0),
	} {
		_ = binary.Write(&out, binary.LittleEndian, part) // a bytes.Buffer takes everything
	}
	out.WriteString(strings.Join([]string{dllName, dllExport, dllImport, ""}, "\x00"))
	return out.Bytes()
}
