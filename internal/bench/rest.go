package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// CompareEmpty is a service of net/http that does nothing.
const CompareEmpty = "empty net/http handler"

// A Service answers on a listener until ctx ends.
type Service func(ctx context.Context, ln net.Listener) error

// EmptyService answers each request with 200 and nothing.
func EmptyService(ctx context.Context, ln net.Listener) error {
	hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })}
	stop := context.AfterFunc(ctx, func() { hs.Close() })
	defer stop()
	if err := hs.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// REST has connections post uses of the first providers of the pool to a service in
// this process, each the next as soon as it has the answer, for a time. The first
// tenth of it is not counted. It fails where a request is not answered with 200,
// and where the counters of the store do not hold exactly what was acknowledged;
// st is nil where the service counts nothing. The client writes ready requests and
// looks for the end of the answer, and no more, so that what is measured is the
// service.
func REST(ctx context.Context, what string, serve Service, key string, st *poolkeeper.Store, conns, providers int, duration time.Duration) (Row, error) {
	before := int64(0)
	if st != nil {
		var err error
		if before, err = sum(ctx, st); err != nil {
			return Row{}, err
		}
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return Row{}, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "no free port: %v", err)
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- serve(serving, ln) }()
	posts := make([][]byte, providers)
	for i := range posts {
		posts[i] = []byte("POST /api/v1/pools/" + poolType + "/" + id(i) + "/usage HTTP/1.1\r\nHost: " + ln.Addr().String() +
			"\r\nAuthorization: Bearer " + key + "\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"n\":1}")
	}
	var (
		wg       sync.WaitGroup
		acked    atomic.Int64
		firstErr atomic.Pointer[error]
		each     = make([]histogram, conns)
		memory   [2]runtime.MemStats
	)
	runtime.ReadMemStats(&memory[0])
	begin := time.Now()
	from, until := begin.Add(duration/10), begin.Add(duration+duration/10)
	for c := range conns {
		wg.Go(func() {
			n, err := post(ln.Addr().String(), posts, from, until, &each[c])
			if err != nil {
				firstErr.CompareAndSwap(nil, &err)
			}
			acked.Add(n)
		})
	}
	wg.Wait()
	runtime.ReadMemStats(&memory[1])
	stop()
	if err := <-served; err != nil {
		return Row{}, err
	}
	if err := firstErr.Load(); err != nil {
		return Row{}, poolkeeper.Errorf(poolkeeper.ErrUnavailable, "%s: %v", what, *err)
	}
	if st != nil {
		after, err := sum(ctx, st)
		if err != nil {
			return Row{}, err
		}
		if after-before != acked.Load() {
			return Row{}, poolkeeper.Errorf(poolkeeper.ErrInternal, "%d increments were acknowledged, and the counters grew by %d", acked.Load(), after-before)
		}
	}
	var all histogram
	for i := range each {
		all.merge(&each[i])
	}
	row := Row{
		What: what, Callers: conns, Providers: providers,
		PerSecond: float64(all.total) / duration.Seconds(),
		Allocs:    float64(memory[1].Mallocs-memory[0].Mallocs) / float64(max(acked.Load(), 1)),
	}
	row.took(&all)
	return row, nil
}

// post sends requests on one connection until a time, and counts the answers.
func post(addr string, posts [][]byte, from, until time.Time, each *histogram) (n int64, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(until.Add(time.Minute)); err != nil {
		return 0, err
	}
	in := bufio.NewReader(conn)
	for now := time.Now(); now.Before(until); {
		if _, err := conn.Write(posts[rand.IntN(len(posts))]); err != nil {
			return n, err
		}
		if err := answered(in); err != nil {
			return n, err
		}
		n++
		then := now
		now = time.Now()
		if then.After(from) && now.Before(until) {
			each.add(now.Sub(then))
		}
	}
	return n, nil
}

var (
	statusOK      = []byte("HTTP/1.1 200 ")
	contentLength = []byte("Content-Length: ") // as net/http writes it
)

// answered reads one answer, which has a length, without allocating.
func answered(in *bufio.Reader) error {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, statusOK) {
		return errors.New("it answers " + strings.TrimSpace(string(line)))
	}
	length := 0
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) == 2 {
			break
		}
		if value, ok := bytes.CutPrefix(line, contentLength); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	if _, err = in.Discard(length); errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
