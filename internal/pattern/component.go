package pattern

import (
	"bytes"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// component is one component of a pattern.
type component struct {
	toks    []token
	anyDirs bool // "**": any number of components
	bytes   bool // one character is one byte, as in git
}

type tokenKind uint8

const (
	tokLiteral tokenKind = iota
	tokAny               // ?
	tokStar              // *
	tokSet               // [...]
)

// token is one step of a component.
type token struct {
	kind   tokenKind
	lit    rune
	negate bool
	ranges [][2]rune
}

var (
	errOpenSet   = errors.New("a '[' has no ']'")
	errLoneSlash = errors.New("a backslash at the end stands for nothing")
	errSetName   = errors.New("unknown class name between '[:' and ':]'")
)

// parser turns the text of a pattern into components.
type parser struct {
	text  string
	bytes bool
}

// compile parses a pattern. A slash between brackets does not part components: no path component holds one, so it
// simply never matches.
func compile(text string, asBytes bool) ([]component, error) {
	p := &parser{text: text, bytes: asBytes}
	var comps []component
	cur := component{bytes: asBytes}
	begin := 0
	for {
		if p.text == "" || p.text[0] == '/' || strings.HasPrefix(p.text, `\/`) {
			raw := text[begin : len(text)-len(p.text)]
			if len(raw) >= 2 && strings.Trim(raw, "*") == "" { // git takes "***" for it, too
				cur = component{anyDirs: true}
			}
			comps = appendComponent(comps, cur)
			if p.text == "" {
				return comps, nil
			}
			p.text = p.text[strings.IndexByte(p.text, '/')+1:]
			begin = len(text) - len(p.text)
			cur = component{bytes: asBytes}
			continue
		}
		t, err := p.next()
		if err != nil {
			return nil, err
		}
		if n := len(cur.toks); t.kind != tokStar || n == 0 || cur.toks[n-1].kind != tokStar {
			cur.toks = append(cur.toks, t)
		}
	}
}

// appendComponent leaves out a "**" that follows another one.
func appendComponent(comps []component, c component) []component {
	if n := len(comps); c.anyDirs && n > 0 && comps[n-1].anyDirs {
		return comps
	}
	return append(comps, c)
}

func (p *parser) next() (token, error) {
	switch p.text[0] {
	case '*':
		p.text = p.text[1:]
		return token{kind: tokStar}, nil
	case '?':
		p.text = p.text[1:]
		return token{kind: tokAny}, nil
	case '[':
		p.text = p.text[1:]
		return p.set()
	case '\\':
		p.text = p.text[1:]
		if p.text == "" {
			return token{}, errLoneSlash
		}
	}
	return token{kind: tokLiteral, lit: p.char()}, nil
}

// char takes one character: a byte, or a rune. Bytes that are no UTF-8 become runes of their own above all others.
func (p *parser) char() rune {
	r, n := decode(p.text, p.bytes)
	p.text = p.text[n:]
	return r
}

func decode[T string | []byte](s T, asBytes bool) (rune, int) {
	if s[0] < utf8.RuneSelf || asBytes {
		return rune(s[0]), 1
	}
	r, n := utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
	if r == utf8.RuneError && n == 1 {
		return unicode.MaxRune + 1 + rune(s[0]), 1
	}
	return r, n
}

// set parses what follows a '['. A ']' right at the beginning belongs to the set.
func (p *parser) set() (token, error) {
	t := token{kind: tokSet}
	if p.text != "" && (p.text[0] == '!' || p.text[0] == '^') {
		t.negate = true
		p.text = p.text[1:]
	}
	for first := true; ; first = false {
		if p.text == "" {
			return t, errOpenSet
		}
		if p.text[0] == ']' && !first {
			p.text = p.text[1:]
			return t, nil
		}
		if strings.HasPrefix(p.text, "[:") {
			done, err := p.class(&t)
			if err != nil {
				return t, err
			}
			if done {
				continue
			}
		}
		if err := p.span(&t); err != nil {
			return t, err
		}
	}
}

// span parses one character of a set, or two with a '-' between them.
func (p *parser) span(t *token) error {
	lo, err := p.member()
	if err != nil {
		return err
	}
	hi := lo
	if len(p.text) >= 2 && p.text[0] == '-' && p.text[1] != ']' {
		p.text = p.text[1:]
		if hi, err = p.member(); err != nil {
			return err
		}
	}
	t.ranges = append(t.ranges, [2]rune{lo, hi})
	return nil
}

func (p *parser) member() (rune, error) {
	if p.text[0] == '\\' {
		p.text = p.text[1:]
	}
	if p.text == "" {
		return 0, errOpenSet
	}
	return p.char(), nil
}

// classes are the POSIX names, for ASCII as in git.
var classes = map[string][][2]rune{
	"alnum": {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}, "alpha": {{'A', 'Z'}, {'a', 'z'}}, "blank": {{' ', ' '}, {'\t', '\t'}},
	"cntrl": {{0, 31}, {127, 127}}, "digit": {{'0', '9'}}, "graph": {{33, 126}}, "lower": {{'a', 'z'}}, "print": {{32, 126}},
	"punct": {{33, 47}, {58, 64}, {91, 96}, {123, 126}}, "space": {{' ', ' '}, {'\t', '\r'}}, "upper": {{'A', 'Z'}},
	"xdigit": {{'0', '9'}, {'A', 'F'}, {'a', 'f'}},
}

// class parses "[:name:]" within a set. Without the closing ":]" the bracket is an ordinary character.
func (p *parser) class(t *token) (bool, error) {
	end := strings.IndexByte(p.text[2:], ']')
	if end < 0 {
		return false, errOpenSet
	}
	name, ok := strings.CutSuffix(p.text[2:2+end], ":")
	if !ok {
		return false, nil
	}
	ranges, ok := classes[name]
	if !ok {
		return false, errSetName
	}
	t.ranges = append(t.ranges, ranges...)
	p.text = p.text[2+end+1:]
	return true, nil
}

// literal returns the text of a component without wildcards.
func (c *component) literal() (string, bool) {
	if c.anyDirs {
		return "", false
	}
	var b []byte
	for _, t := range c.toks {
		switch {
		case t.kind != tokLiteral:
			return "", false
		case c.bytes:
			b = append(b, byte(t.lit))
		case t.lit > unicode.MaxRune:
			b = append(b, byte(t.lit-unicode.MaxRune-1))
		default:
			b = utf8.AppendRune(b, t.lit)
		}
	}
	return string(b), true
}

// match matches one path component. Only the last star ever needs to be retried.
func (c *component) match(name []byte) bool {
	if c.anyDirs {
		return true
	}
	ti, star := 0, -1
	var again []byte
	for {
		if ti < len(c.toks) && c.toks[ti].kind == tokStar {
			if ti++; ti == len(c.toks) {
				return true
			}
			star, again = ti, name
			continue
		}
		if len(name) == 0 {
			return ti == len(c.toks)
		}
		if ti < len(c.toks) {
			r, n := decode(name, c.bytes)
			if c.toks[ti].accepts(r) {
				ti++
				name = name[n:]
				continue
			}
		}
		if star < 0 || len(again) == 0 {
			return false
		}
		_, n := decode(again, c.bytes)
		again = again[n:]
		ti, name = star, again
	}
}

func (t *token) accepts(r rune) bool {
	switch t.kind {
	case tokLiteral:
		return t.lit == r
	case tokAny:
		return true
	}
	for _, span := range t.ranges {
		if span[0] <= r && r <= span[1] {
			return !t.negate
		}
	}
	return t.negate
}

// lower maps text to lower case: by characters where it is UTF-8, else its ASCII letters.
func lower(b []byte) []byte {
	if utf8.Valid(b) {
		return bytes.ToLower(b)
	}
	out := bytes.Clone(b)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}
