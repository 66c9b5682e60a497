package redistest

import (
	"bufio"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

var frames = []string{
	"+OK\r\n", "+\r\n", "-ERR no\r\n", ":-12\r\n", "$3\r\nabc\r\n", "$0\r\n\r\n", "$4\r\n\r\n\r\n\r\n",
	"$-1\r\n", "*-1\r\n", "*0\r\n", "*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
	"_\r\n", "#t\r\n", ",3.14\r\n", ",inf\r\n", "(3492890328409238509324850943850943825024385\r\n",
	"!5\r\nERR x\r\n", "=7\r\ntxt:abc\r\n", "~2\r\n+a\r\n+b\r\n", "%1\r\n+k\r\n%1\r\n+a\r\n_\r\n",
	">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n", "|1\r\n+ttl\r\n:1\r\n$1\r\nv\r\n",
	"$?\r\n;2\r\nab\r\n;1\r\nc\r\n;0\r\n", "*?\r\n:1\r\n:2\r\n.\r\n", "%?\r\n+a\r\n:1\r\n.\r\n",
}

func TestFrames(t *testing.T) {
	r := bufio.NewReaderSize(strings.NewReader(strings.Join(frames, "")), 16)
	for _, want := range frames {
		got, err := appendValue(nil, r)
		if err != nil || string(got) != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	if _, err := appendValue(nil, r); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	for _, bad := range []string{"\r\n", "$\r\n", "?1\r\n", "*x\r\n", "+OK\n", "$?\r\n:1\r\n", "$-2\r\n"} {
		if _, err := appendValue(nil, bufio.NewReader(strings.NewReader(bad))); !errors.Is(err, errFraming) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// FuzzFrame checks that a value is taken exactly: what is read is a prefix of
// the input, and reads the same again.
func FuzzFrame(f *testing.F) {
	for _, s := range frames {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if strings.Count(in, "*")+strings.Count(in, "$") > 8 || len(in) > 200 {
			t.Skip()
		}
		got, err := appendValue(nil, bufio.NewReader(io.LimitReader(strings.NewReader(in), 1<<12)))
		if err != nil {
			return
		}
		if !strings.HasPrefix(in, string(got)) {
			t.Fatalf("%q is no prefix of %q", got, in)
		}
		again, err := appendValue(nil, bufio.NewReader(strings.NewReader(string(got))))
		if err != nil || string(again) != string(got) {
			t.Fatalf("again %q, %v, want %q", again, err, got)
		}
	})
}

func TestReadRequest(t *testing.T) {
	r := bufio.NewReader(strings.NewReader("*3\r\n$3\r\nset\r\n$1\r\nk\r\n$2\r\n\r\n\r\nPING\r\n\r\n"))
	for _, want := range []request{
		{raw: []byte("*3\r\n$3\r\nset\r\n$1\r\nk\r\n$2\r\n\r\n\r\n"), name: "SET", arg: "k", args: 2},
		{raw: []byte("PING\r\n"), name: "PING"},
		{raw: []byte("\r\n")},
	} {
		got, err := readRequest(r)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
}
