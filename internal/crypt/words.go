package crypt

import (
	"crypto/sha256"
	_ "embed" // the word list
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

//go:embed english.txt
var englishText string

// english is the BIP-39 English word list: 2,048 words in order, told apart by their first four letters.
var english = strings.Fields(englishText)

// wordCount is how many words a key has: 256 bits and 8 bits of checksum, 11 bits a word.
const wordCount = 24

// Words are the 24 recovery words (BIP-39, English) of a key.
func Words(k Key) []string {
	sum := sha256.Sum256(k[:])
	bits := append(append(make([]byte, 0, 34), k[:]...), sum[0], 0)
	words := make([]string, wordCount)
	for i := range words {
		at := 11 * i
		v := uint32(bits[at/8])<<16 | uint32(bits[at/8+1])<<8
		if at/8+2 < len(bits) {
			v |= uint32(bits[at/8+2])
		}
		words[i] = english[v>>(13-at%8)&0x7FF]
	}
	return words
}

// ParseWords reads 24 recovery words, in any case and spacing; the first four letters of a word are enough. The error
// says the place of a word that is unknown (never the word, which is a secret), or that the checksum is wrong.
func ParseWords(text string) (Key, error) {
	words := strings.Fields(strings.ToLower(text))
	if len(words) != wordCount {
		return Key{}, errs.New(errs.WrongKey, "recovery words: %d words, want %d", len(words), wordCount)
	}
	var bits [33]byte
	for i, w := range words {
		n, ok := wordIndex(w)
		if !ok {
			return Key{}, errs.New(errs.WrongKey, "recovery words: word %d is not in the list", i+1)
		}
		for j := range 11 {
			if n>>(10-j)&1 != 0 {
				at := 11*i + j
				bits[at/8] |= 0x80 >> (at % 8)
			}
		}
	}
	k := Key(bits[:32])
	if sum := sha256.Sum256(k[:]); sum[0] != bits[32] {
		return Key{}, errs.New(errs.WrongKey, "recovery words: the checksum does not match; a word is wrong or two are swapped")
	}
	return k, nil
}

// wordIndex finds a word of the list by the whole word or by four letters or more of it.
func wordIndex(w string) (int, bool) {
	for i, e := range english {
		if e == w || len(w) >= 4 && strings.HasPrefix(e, w) {
			return i, true
		}
	}
	return 0, false
}

// keyfileTag begins the line of a keyfile that holds the key.
const keyfileTag = "nacre-key-1"

// FormatKeyfile is the text of a keyfile.
func FormatKeyfile(k Key, repo id.Repository) []byte {
	sum := keyfileSum(k)
	return fmt.Appendf(nil, "# The key of the nacre repository %s.\n# Whoever has this file can read the backups in it; whoever loses it cannot.\n%s %s %s\n",
		repo, keyfileTag, hex.EncodeToString(k[:]), hex.EncodeToString(sum))
}

// ParseKeyfile reads a keyfile: the line that FormatKeyfile makes, or 24 recovery words. Lines that begin with # are
// comments. A keyfile that is damaged is errs.Corrupt.
func ParseKeyfile(text []byte) (Key, error) {
	if len(text) > maxJSONFile {
		return Key{}, errs.New(errs.Corrupt, "keyfile of %d bytes, the limit is %d", len(text), maxJSONFile)
	}
	var body []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			body = append(body, line)
		}
	}
	f := strings.Fields(strings.Join(body, " "))
	if len(f) == wordCount {
		return ParseWords(strings.Join(f, " "))
	}
	if len(f) != 3 || f[0] != keyfileTag {
		return Key{}, errs.New(errs.Corrupt, "this is no keyfile: it has neither a line that begins with %q nor %d words", keyfileTag, wordCount)
	}
	raw, err := hex.DecodeString(f[1])
	if err != nil || len(raw) != len(Key{}) {
		return Key{}, errs.New(errs.Corrupt, "keyfile: the key is not 64 hexadecimal digits")
	}
	k := Key(raw)
	if hex.EncodeToString(keyfileSum(k)) != f[2] {
		return Key{}, errs.New(errs.Corrupt, "keyfile: the checksum does not match, the file is damaged")
	}
	return k, nil
}

// keyfileSum is the checksum of a keyfile, 4 bytes.
func keyfileSum(k Key) []byte {
	sum := Sum(append([]byte("nacre/1 keyfile\x00"), k[:]...))
	return sum[:4]
}
