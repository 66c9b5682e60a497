package faults_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
)

// A told is the log of what one instance was asked and what it told, over all its
// processes; a line for each step, written before the step or after it and at once.
//
//	b <process>            a process of the instance begins
//	o <ops>                it has opened, and so many ops waited
//	i <op> <provider> <n>  the increment op is about to begin
//	a <op>, q <op>         it was acknowledged, as applied or as queued
//	r <op> <code>          it was refused: surely not counted
//	u <op>                 its outcome is unknown
//	m <from> <to>          the mode has changed
//	s <goroutines> <heap> <journal> <ops>   now and then
//	j <op>                 op of the long outage is about to begin
//	k <op>                 it was acknowledged, as queued
//	d                      all of those were
//	w <kind> <reason> <of> an op was found set aside, in the end
//	x <text>               what must not be
//	e                      the process has ended in order, and nothing waits
type told struct{ f *os.File }

func openTold(name string) (told, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return told{f}, err
}

func (l told) line(format string, args ...any) {
	if _, err := l.f.Write(fmt.Appendf(nil, format+"\n", args...)); err != nil {
		panic(err) // without its log the process proves nothing
	}
}

// A record is what was read of such a log so far.
type record struct {
	mu     sync.Mutex
	name   string
	offset int64
	rest   []byte
	keyed  bool // what has no answer is asked again by the next process, with the same key

	process int                  // that writes
	open    int                  // the last one that has opened
	mode    string               // the last one
	begun   map[string]increment // those without an answer
	sure    [providerCount]int64 // what was acknowledged
	maybe   [providerCount]int64 // what may be there beside
	applied int
	queued  int
	unsure  int
	refused map[string]int // by code
	modes   map[string]int // how often each began
	waited  []int          // at each opening
	samples []sample
	aside   []string

	asked []bool // by the number of the op of the long outage
	acked map[int]bool
	done  int
	wrong []string
	ended int
}

type increment struct {
	provider int
	n        int64
}

type sample struct {
	goroutines         int
	heap, journal, ops int64
}

func newRecord(name string) *record {
	return &record{name: name, begun: map[string]increment{}, refused: map[string]int{}, modes: map[string]int{}, acked: map[int]bool{}}
}

// read reads on. The last line of a process that was killed may be torn: what begins
// the next one says so.
func (r *record) read() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := os.Open(r.name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(r.offset, io.SeekStart); err != nil {
		return err
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	r.offset += int64(len(data))
	data = append(r.rest, data...)
	for {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			r.rest = bytes.Clone(data)
			return nil
		}
		data = rest
		if err := r.take(strings.Fields(string(line))); err != nil {
			return fmt.Errorf("%s: %q: %v", r.name, line, err)
		}
	}
}

func (r *record) take(word []string) error {
	if len(word) == 0 {
		return nil
	}
	number := func(i int) int64 {
		if i >= len(word) {
			return 0
		}
		n, _ := strconv.ParseInt(word[i], 10, 64)
		return n
	}
	var inc increment
	if strings.Contains("aqru", word[0]) {
		var ok bool
		if len(word) < 2 {
			return errors.New("no op")
		}
		if inc, ok = r.begun[word[1]]; !ok {
			return errors.New("an answer to nothing")
		}
		delete(r.begun, word[1])
	}
	switch word[0] {
	case "b":
		if !r.keyed { // what the one before it left without an answer may be there
			r.giveUp()
		}
		r.process = int(number(1))
	case "o":
		r.waited = append(r.waited, int(number(1)))
		r.open = r.process
	case "i":
		r.begun[word[1]] = increment{int(number(2)), number(3)}
	case "a":
		r.sure[inc.provider] += inc.n
		r.applied++
	case "q":
		r.sure[inc.provider] += inc.n
		r.queued++
	case "u":
		r.maybe[inc.provider] += inc.n
		r.unsure++
	case "r":
		r.refused[word[2]]++
	case "m":
		r.modes[word[2]]++
		r.mode = word[2]
	case "s":
		r.samples = append(r.samples, sample{int(number(1)), number(2), number(3), number(4)})
	case "j":
		r.grow(int(number(1)) + 1)
		r.asked[number(1)] = true
	case "k":
		r.acked[int(number(1))] = true
	case "d":
		r.done++
	case "w":
		r.aside = append(r.aside, strings.Join(word[1:], " "))
	case "x":
		r.wrong = append(r.wrong, strings.Join(word[1:], " "))
	case "e":
		r.ended++
	default:
		return errors.New("not a line of a log")
	}
	return nil
}

// grow makes room for so many ops of the long outage.
func (r *record) grow(n int) {
	for len(r.asked) < n {
		r.asked = append(r.asked, false)
	}
}

// counts returns how many ops were acknowledged in either way.
func (r *record) counts() (applied, queued int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.applied, r.queued
}

// opened is the last process that has opened, and lastMode the mode that it is in.
func (r *record) opened() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open
}

func (r *record) lastMode() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mode
}

// unanswered is how many ops have no answer yet.
func (r *record) unanswered() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.begun)
}

// lastWaited is how many ops waited when the last process opened.
func (r *record) lastWaited() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waited) == 0 {
		return 0
	}
	return r.waited[len(r.waited)-1]
}

// close counts what no process will answer any more.
func (r *record) close() error {
	err := r.read()
	r.giveUp()
	return err
}

func (r *record) giveUp() {
	for _, inc := range r.begun {
		r.maybe[inc.provider] += inc.n
		r.unsure++
	}
	clear(r.begun)
}
