package redistest

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// Error is an error reply of Redis, as it came: "WRONGTYPE Operation …".
type Error string

func (e Error) Error() string { return string(e) }

// doTimeout bounds a command of a helper, so that a paused server fails the
// test instead of hanging it.
const doTimeout = 10 * time.Second

// adminPassword is shared by the servers of this process, because they
// replicate from each other in any direction.
var adminPassword = sync.OnceValue(rand.Text)

// client is a RESP2 client with one connection, made when it is needed.
type client struct {
	socket string
	mu     sync.Mutex // held for a whole exchange
	conn   net.Conn
	r      *bufio.Reader
}

// do sends the commands in one write and returns their replies, each of them
// nil, int64, string, []any or Error.
func (c *client) do(cmds ...[]string) ([]any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil && !idle(c.conn) {
		c.dropLocked()
	}
	if c.conn == nil {
		conn, err := net.DialTimeout("unix", c.socket, doTimeout)
		if err != nil {
			return nil, err
		}
		c.conn, c.r = conn, bufio.NewReader(conn)
		replies, err := c.exchange([][]string{{"AUTH", adminUser, adminPassword()}})
		if err == nil {
			if e, ok := replies[0].(Error); ok {
				err = e
			}
		}
		if err != nil {
			c.dropLocked()
			return nil, err
		}
	}
	replies, err := c.exchange(cmds)
	if err != nil {
		c.dropLocked()
	}
	return replies, err
}

func (c *client) exchange(cmds [][]string) ([]any, error) {
	if err := c.conn.SetDeadline(time.Now().Add(doTimeout)); err != nil {
		return nil, err
	}
	var buf []byte
	for _, args := range cmds {
		buf = appendCommand(buf, args)
	}
	// Replies are read while commands are still being written: neither side
	// may wait for the other with full buffers.
	written := make(chan error, 1)
	go func() {
		_, err := c.conn.Write(buf)
		written <- err
	}()
	replies := make([]any, 0, len(cmds))
	var err error
	for range cmds {
		var v any
		if v, err = readReply(c.r); err != nil {
			_ = c.conn.Close() // ends the writer
			break
		}
		replies = append(replies, v)
	}
	if werr := <-written; err == nil {
		err = werr
	}
	return replies, err
}

// drop closes the connection, waiting for an exchange under way.
func (c *client) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropLocked()
}

func (c *client) dropLocked() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn, c.r = nil, nil
	}
}

func appendCommand(b []byte, args []string) []byte {
	b = append(strconv.AppendInt(append(b, '*'), int64(len(args)), 10), "\r\n"...)
	for _, a := range args {
		b = append(strconv.AppendInt(append(b, '$'), int64(len(a)), 10), "\r\n"...)
		b = append(append(b, a...), "\r\n"...)
	}
	return b
}

// readReply reads one RESP2 value.
func readReply(r *bufio.Reader) (any, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 3 {
		return nil, errFraming
	}
	kind, body := line[0], line[1:len(line)-2]
	switch kind {
	case '+':
		return body, nil
	case '-':
		return Error(body), nil
	}
	n, err := strconv.ParseInt(body, 10, 64)
	if err != nil {
		return nil, errFraming
	}
	switch {
	case kind == ':':
		return n, nil
	case kind == '$' && n < 0, kind == '*' && n < 0:
		return nil, nil
	case kind == '$':
		b := make([]byte, n+2)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		return string(b[:n]), nil
	case kind == '*':
		list := make([]any, n)
		for i := range list {
			if list[i], err = readReply(r); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return nil, fmt.Errorf("%w: type %q", errFraming, kind)
}

// errFraming says that what was read is no RESP.
var errFraming = errors.New("redistest: not a RESP value")
