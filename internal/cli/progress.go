package cli

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/units"
)

const (
	drawEvery   = 200 * time.Millisecond // on a terminal
	statusEvery = time.Second            // JSON
	lineEvery   = time.Minute            // elsewhere
	rateWindow  = 20                     // the rate is that of the last 20 s
	never       = 1000 * time.Hour       // only on request, by a signal
)

// progress shows the counters of a running verb: two lines redrawn on a terminal, a line a minute elsewhere, a
// status object a second with --json.
type progress struct {
	o        *output
	counters *event.Counters
	phase    atomic.Pointer[string]
	start    time.Time
	bar      bool // redraw on a terminal
	drawn    bool // two lines of it stand on the terminal; under o.mu
	stop     chan struct{}
	ended    sync.WaitGroup

	samples []sample // one a second, the newest last; used by the ticking goroutine only
}

type sample struct {
	at    time.Time
	bytes int64
}

// startProgress begins to show counters. endProgress ends it.
func (a *app) startProgress(c *event.Counters) {
	o := a.out
	p := &progress{o: o, counters: c, start: o.p.Clock.Now(), stop: make(chan struct{})}
	every := lineEvery
	switch {
	case a.global.progress == "none", o.quiet && !o.json:
		every = never
	case o.json:
		every = statusEvery
	case a.global.progress == "auto" && terminal(o.p.Stderr) && a.dumb() == "":
		p.bar, every = true, drawEvery
	}
	o.mu.Lock()
	if o.progress != nil {
		o.mu.Unlock()
		return
	}
	o.progress = p
	o.mu.Unlock()
	p.ended.Go(func() { p.run(every) })
}

// dumb returns "dumb" on a terminal that cannot move its cursor.
func (a *app) dumb() string {
	if v, _ := a.p.Env("TERM"); v == "dumb" {
		return v
	}
	return ""
}

// endProgress ends the showing. It may be called when nothing is shown.
func (o *output) endProgress() {
	o.mu.Lock()
	p := o.progress
	o.progress = nil
	p.clear()
	o.mu.Unlock()
	if p != nil {
		close(p.stop)
		p.ended.Wait()
	}
}

func (p *progress) run(every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	asked := make(chan os.Signal, 1) // one question at a time
	if len(infoSignals) > 0 {
		signal.Notify(asked, infoSignals...)
		defer signal.Stop(asked)
	}
	for {
		select {
		case <-p.stop:
			return
		case <-asked:
			p.o.talk(p.line(p.o.p.Clock.Now()) + "\n")
		case <-t.C:
			p.tick()
		}
	}
}

func (p *progress) tick() {
	now := p.o.p.Clock.Now()
	bytes := p.counters.Bytes.Load()
	if n := len(p.samples); n == 0 || now.Sub(p.samples[n-1].at) >= time.Second {
		p.samples = append(p.samples, sample{now, bytes})
		if len(p.samples) > rateWindow {
			p.samples = p.samples[1:]
		}
	}
	switch {
	case p.o.json:
		p.o.emit("status", p.status(now))
		p.o.flush()
	case p.bar:
		p.draw(now)
	default:
		p.o.talk(p.line(now) + "\n")
	}
}

// rate is the bytes a second of the last while, 0 where it is not known yet.
func (p *progress) rate(now time.Time) float64 {
	if len(p.samples) == 0 {
		return 0
	}
	first := p.samples[0]
	d := now.Sub(first.at)
	if len(p.samples) == 1 {
		first, d = sample{p.start, 0}, now.Sub(p.start)
	}
	if d <= 0 {
		return 0
	}
	return float64(p.counters.Bytes.Load()-first.bytes) / d.Seconds()
}

// remaining is the time that the rest takes at the present rate. It is known only once nothing is added to the total
// any more and bytes are moving: no other estimate is honest.
func (p *progress) remaining(now time.Time) (time.Duration, bool) {
	c := p.counters
	r := p.rate(now)
	if !c.TotalKnown.Load() || r <= 0 || now.Sub(p.start) < 2*time.Second {
		return 0, false
	}
	left := max(c.TotalBytes.Load()-c.Bytes.Load(), 0)
	d := time.Duration(float64(left) / r * float64(time.Second))
	return d, d >= 0 && d < 1000*time.Hour
}

// status is the JSON object.
type status struct {
	Phase        string  `json:"phase,omitempty"`
	Elapsed      float64 `json:"seconds_elapsed"`
	Remaining    float64 `json:"seconds_remaining,omitempty"`
	Entries      int64   `json:"entries"`
	TotalEntries int64   `json:"total_entries,omitempty"`
	Bytes        int64   `json:"bytes"`
	TotalBytes   int64   `json:"total_bytes,omitempty"`
	Stored       int64   `json:"stored_bytes,omitempty"`
	Errors       int64   `json:"errors,omitempty"`
	Current      string  `json:"current,omitempty"`
}

func (p *progress) status(now time.Time) status {
	c := p.counters
	s := status{
		Phase: p.phaseName(), Elapsed: now.Sub(p.start).Seconds(), Entries: c.Entries.Load(), Bytes: c.Bytes.Load(),
		Stored: c.Stored.Load(), Errors: c.Errors.Load(),
	}
	if c.TotalKnown.Load() {
		s.TotalEntries, s.TotalBytes = c.TotalEntries.Load(), c.TotalBytes.Load()
	}
	if d, ok := p.remaining(now); ok {
		s.Remaining = d.Seconds()
	}
	if path := c.Current.Load(); path != nil {
		s.Current = printable(shown([]byte(*path)))
	}
	return s
}

func (p *progress) phaseName() string {
	if s := p.phase.Load(); s != nil {
		return *s
	}
	return ""
}

// line is the state in one line.
func (p *progress) line(now time.Time) string {
	c := p.counters
	var b strings.Builder
	fmt.Fprintf(&b, "%s  ", clockFace(now.Sub(p.start)))
	if s := p.phaseName(); s != "" {
		b.WriteString(s + "  ")
	}
	known := c.TotalKnown.Load()
	if total := c.TotalBytes.Load(); known && total > 0 {
		fmt.Fprintf(&b, "%.1f%%  ", min(100, 100*float64(c.Bytes.Load())/float64(total)))
	}
	b.WriteString(units.Count(c.Entries.Load()))
	if known {
		b.WriteString("/" + units.Count(c.TotalEntries.Load()))
	}
	b.WriteString(" entries  " + units.Bytes(c.Bytes.Load()))
	if known {
		b.WriteString("/" + units.Bytes(c.TotalBytes.Load()))
	}
	if r := p.rate(now); r > 0 {
		b.WriteString("  " + units.Bytes(int64(r)) + "/s")
	}
	if d, ok := p.remaining(now); ok {
		b.WriteString("  " + clockFace(d) + " left")
	}
	if n := c.Errors.Load(); n > 0 {
		b.WriteString("  " + units.Count(n) + " errors")
	}
	return b.String()
}

// clockFace writes a duration as m:ss or h:mm:ss.
func clockFace(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// draw redraws the two lines on the terminal.
func (p *progress) draw(now time.Time) {
	width, _, err := term.GetSize(int(p.o.p.Stderr.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	current := ""
	if path := p.counters.Current.Load(); path != nil {
		current = printable(shown([]byte(*path)))
	}
	first, second := fit(p.line(now), width-1), fit(current, width-1)
	p.o.mu.Lock()
	defer p.o.mu.Unlock()
	if p.o.progress != p {
		return // it has ended meanwhile
	}
	s := first + "\x1b[K\n" + second + "\x1b[K\r"
	if p.drawn {
		s = "\r\x1b[1A" + s
	}
	p.drawn = true
	_, _ = io.WriteString(p.o.p.Stderr, s) // a drawing that fails is drawn again
}

// clear takes the two lines off the terminal. The output is locked. p may be nil.
func (p *progress) clear() {
	if p == nil || !p.drawn {
		return
	}
	p.drawn = false
	_, _ = io.WriteString(p.o.p.Stderr, "\r\x1b[K\x1b[1A\x1b[K")
}

// fit cuts s to the width of a terminal's line, out of its middle, counting wide characters twice.
func fit(s string, width int) string {
	total := 0
	runes := []rune(s)
	for _, r := range runes {
		total += cells(r)
	}
	if total <= width {
		return s
	}
	head, tail := 0, len(runes)
	budget := width - 3
	for left, right := budget*2/5, budget-budget*2/5; head < tail; head++ {
		if left -= cells(runes[head]); left < 0 {
			for tail > head {
				if right -= cells(runes[tail-1]); right < 0 {
					break
				}
				tail--
			}
			break
		}
	}
	return string(runes[:head]) + "..." + string(runes[tail:])
}

func cells(r rune) int {
	if r >= 0x1100 {
		return 2
	}
	return 1
}
