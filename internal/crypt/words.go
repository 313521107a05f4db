package crypt

import "github.com/nacre-backup/nacre/internal/id"

// Words are the 24 recovery words (BIP-39, English) of a key.
func Words(k Key) []string { panic("crypt: skeleton") }

// ParseWords reads 24 recovery words, in any case and spacing; the first four letters of a word are enough. The error
// says which word is unknown, or that the checksum is wrong.
func ParseWords(text string) (Key, error) { panic("crypt: skeleton") }

// FormatKeyfile is the text of a keyfile.
func FormatKeyfile(k Key, repo id.Repository) []byte { panic("crypt: skeleton") }

// ParseKeyfile reads a keyfile: the line that FormatKeyfile makes, or 24 recovery words.
func ParseKeyfile(text []byte) (Key, error) { panic("crypt: skeleton") }
