package redistest

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"
)

// appendValue reads one whole RESP2 or RESP3 value and appends its bytes to
// buf. An attribute belongs to the value that follows it.
func appendValue(buf []byte, r *bufio.Reader) ([]byte, error) {
	buf, line, err := appendLine(buf, r)
	if err != nil {
		return buf, err
	}
	switch line[0] {
	case '+', '-', ':', '_', ',', '#', '(':
		return buf, nil
	case '$', '=', '!':
		if line[1] == '?' {
			return appendChunks(buf, r)
		}
		n, err := frameLen(line)
		if err != nil || n < 0 {
			return buf, err
		}
		return appendBytes(buf, r, n+2)
	case '*', '~', '>', '%', '|':
		return appendAggregate(buf, r, line)
	}
	return buf, errFraming
}

func appendAggregate(buf []byte, r *bufio.Reader, line string) ([]byte, error) {
	if line[1] == '?' { // of unknown length, up to "."
		for {
			b, err := r.Peek(1)
			if err != nil {
				return buf, err
			}
			if b[0] == '.' {
				buf, _, err = appendLine(buf, r)
				return buf, err
			}
			if buf, err = appendValue(buf, r); err != nil {
				return buf, err
			}
		}
	}
	n, err := frameLen(line)
	if err != nil {
		return buf, err
	}
	switch line[0] {
	case '%':
		n *= 2
	case '|':
		n = 2*n + 1
	}
	for range n {
		if buf, err = appendValue(buf, r); err != nil {
			return buf, err
		}
	}
	return buf, nil
}

// appendChunks reads the chunks of a streamed string, ";4\r\nabcd\r\n" up to
// ";0\r\n".
func appendChunks(buf []byte, r *bufio.Reader) ([]byte, error) {
	for {
		var line string
		var err error
		if buf, line, err = appendLine(buf, r); err != nil {
			return buf, err
		}
		n, err := frameLen(line)
		if err != nil {
			return buf, err
		}
		if line[0] != ';' || n < 0 {
			return buf, errFraming
		}
		if n == 0 {
			return buf, nil
		}
		if buf, err = appendBytes(buf, r, n+2); err != nil {
			return buf, err
		}
	}
}

// appendLine reads up to CRLF. The line that it returns, without CRLF, has a
// type byte and something after it, except for the null "_".
func appendLine(buf []byte, r *bufio.Reader) ([]byte, string, error) {
	line, err := r.ReadString('\n')
	buf = append(buf, line...)
	if err != nil {
		return buf, "", err
	}
	body := strings.TrimSuffix(line, "\r\n")
	if len(body) == len(line) || body == "" {
		return buf, "", errFraming
	}
	if len(body) == 1 && body != "_" && body != "+" && body != "-" && body != "." {
		return buf, "", errFraming
	}
	return buf, body, nil
}

func appendBytes(buf []byte, r *bufio.Reader, n int) ([]byte, error) {
	at := len(buf)
	buf = append(buf, make([]byte, n)...)
	_, err := io.ReadFull(r, buf[at:])
	return buf, err
}

// frameLen reads the length of a line, -1 for the nulls of RESP2.
func frameLen(line string) (int, error) {
	n, err := strconv.Atoi(line[1:])
	if err != nil || n < -1 || n > 1<<30 {
		return 0, errFraming
	}
	return n, nil
}

// request is one command of a client as it came.
type request struct {
	raw  []byte
	name string // in upper case, "" for an empty line
	arg  string // the first argument
	args int    // how many after the name
}

// readRequest reads one command, an array of bulk strings or an inline one.
func readRequest(r *bufio.Reader) (request, error) {
	var q request
	head, err := r.Peek(1)
	if err != nil {
		return q, err
	}
	var words []string
	if head[0] != '*' {
		line, err := r.ReadString('\n')
		if err != nil {
			return q, err
		}
		q.raw, words = []byte(line), strings.Fields(line)
	} else {
		if q.raw, err = appendValue(nil, r); err != nil {
			return q, err
		}
		if words, err = bulks(q.raw); err != nil {
			return q, err
		}
	}
	if len(words) > 0 {
		q.name, q.args = strings.ToUpper(words[0]), len(words)-1
	}
	if q.args > 0 {
		q.arg = words[1]
	}
	return q, nil
}

// bulks returns the elements of an array of bulk strings.
func bulks(raw []byte) ([]string, error) {
	v, err := readReply(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, err
	}
	return texts(v)
}

// firstElement returns the first element of an aggregate when it is a string:
// what kind of push it is.
func firstElement(raw []byte) string {
	_, rest, _ := bytes.Cut(raw, []byte("\r\n"))
	line, rest, _ := bytes.Cut(rest, []byte("\r\n"))
	switch {
	case len(line) > 1 && line[0] == '+':
		return string(line[1:])
	case len(line) > 1 && line[0] == '$':
		word, _, _ := bytes.Cut(rest, []byte("\r\n"))
		return string(word)
	}
	return ""
}
