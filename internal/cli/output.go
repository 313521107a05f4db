package cli

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// output is where a run writes. Its methods may be called from several goroutines at once.
type output struct {
	p       Process
	json    bool
	quiet   bool
	verbose bool
	colour  bool // of standard error

	mu       sync.Mutex
	stdout   *bufio.Writer
	progress *progress // drawn on standard error at present
	err      error     // the first failure to write to standard output
}

func newOutput(p Process) *output {
	return &output{p: p, stdout: bufio.NewWriterSize(p.Stdout, 64<<10)}
}

// close writes out what is left and returns the first failure.
func (o *output) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.stdout.Flush(); o.err == nil {
		o.err = err
	}
	return o.err
}

// abandon is for a process that ends at once: the terminal's line is left clean.
func (o *output) abandon() {
	if o.mu.TryLock() { // whoever holds it may be the one who hangs
		o.progress.clear()
		o.mu.Unlock()
	}
}

// printf writes a part of the result for people. It is silent with --json.
func (o *output) printf(format string, args ...any) {
	if o.json {
		return
	}
	o.write([]byte(fmt.Sprintf(format, args...)))
}

// write writes result bytes as they are.
func (o *output) write(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.progress.clear()
	if _, err := o.stdout.Write(p); err != nil && o.err == nil {
		o.err = err
	}
	if o.progress != nil { // lines and the drawing share a terminal: keep them in order
		o.flushLocked()
	}
}

func (o *output) flushLocked() {
	if err := o.stdout.Flush(); err != nil && o.err == nil {
		o.err = err
	}
}

// flush brings the result so far to its reader.
func (o *output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flushLocked()
}

// resultWriter is standard output as an io.Writer whose errors count.
type resultWriter struct{ o *output }

func (w resultWriter) Write(p []byte) (int, error) {
	w.o.write(p)
	w.o.mu.Lock()
	defer w.o.mu.Unlock()
	return len(p), w.o.err
}

// say tells the user something on standard error. It is silent with --quiet and --json.
func (o *output) say(format string, args ...any) {
	if o.quiet || o.json {
		return
	}
	o.talk(fmt.Sprintf(format, args...) + "\n")
}

// warn tells what the user must know, even with --quiet.
func (o *output) warn(text, hint string) {
	if o.json {
		o.emit("warning", struct {
			Message string `json:"message"`
			Hint    string `json:"hint,omitempty"`
		}{text, hint})
		return
	}
	s := o.paint(yellow, "warning:") + " " + oneLine(text) + "\n"
	if hint != "" {
		s += o.paint(yellow, "hint:") + " " + oneLine(hint) + "\n"
	}
	o.talk(s)
}

// complain prints why the run failed.
func (o *output) complain(text, hint string) {
	s := o.paint(red, "nacre:") + " " + oneLine(text) + "\n"
	if hint != "" {
		s += o.paint(yellow, "hint:") + " " + oneLine(hint) + "\n"
	}
	o.talk(s)
}

func (o *output) talk(s string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.progress.clear()
	o.flushLocked()
	_, _ = io.WriteString(o.p.Stderr, s) // there is nowhere to tell that telling failed
}

// emit writes one JSON line: v, type and time, then the fields of body, a struct.
func (o *output) emit(kind string, body any) {
	fields, err := encodeJSON(body)
	if err != nil {
		panic(fmt.Sprintf("cli: JSON line of type %s: %v", kind, err))
	}
	head := fmt.Sprintf(`{"v":1,"type":%q,"time":%q`, kind, o.p.Clock.Now().Format(time.RFC3339Nano))
	if !bytes.Equal(fields, []byte("{}")) {
		head += ","
	}
	o.write(append(append([]byte(head), fields[1:]...), '\n'))
}

func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// jsonPath is a path in JSON. Paths are bytes; one that is no UTF-8 has its exact bytes beside it.
type jsonPath struct {
	Path   string `json:"path"`
	Base64 string `json:"path_base64,omitempty"`
}

func pathJSON(p []byte) jsonPath {
	if utf8.Valid(p) {
		return jsonPath{Path: string(p)}
	}
	return jsonPath{strings.ToValidUTF8(string(p), "\ufffd"), base64.StdEncoding.EncodeToString(p)}
}

// printable returns a path or a name for people: quoted as in Go where it holds control characters, bytes that are
// no UTF-8, or characters that change how others are shown, so that no name can play with the terminal.
func printable(p []byte) string {
	s := string(p)
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) && r != ' ' }) {
		return fmt.Sprintf("%+q", s)
	}
	return s
}

// oneLine keeps what comes from elsewhere (names in errors) from making lines or commands of the terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, strings.ReplaceAll(s, "\n", "; "))
}

// The colours of standard error.
const (
	red    = "31"
	yellow = "33"
	green  = "32"
	bold   = "1"
)

func (o *output) paint(colour, s string) string {
	if !o.colour {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// terminal reports whether f is a terminal.
func terminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }
