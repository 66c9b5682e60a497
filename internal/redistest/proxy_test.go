package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// dial connects a client that never retries, through p.
func dial(t *testing.T, p *Proxy) rueidis.Client {
	t.Helper()
	o := single(t, p.URL())
	o.DisableCache = false // so that pushes pass through as well
	c, err := rueidis.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func incr(c rueidis.Client, key string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return c.Do(ctx, c.B().Incr().Key(key).Build()).Error()
}

func TestProxyCuts(t *testing.T) {
	t.Parallel()
	s := Start(t)
	for _, tc := range []struct {
		fault    string
		arm      func(*Proxy, int, ...string)
		executed int64
	}{
		{FaultCutBefore, (*Proxy).CutBeforeRequest, 0},
		{FaultCutAfter, (*Proxy).CutAfterRequest, 1},
		{FaultCutMid, (*Proxy).CutMidReply, 1},
	} {
		t.Run(tc.fault, func(t *testing.T) {
			p := StartProxy(t, s.Socket())
			c := dial(t, p)
			key := tc.fault
			tc.arm(p, 1, "incr")
			if err := c.Do(context.Background(), c.B().Get().Key(key).Build()).Error(); !rueidis.IsRedisNil(err) {
				t.Fatalf("a command that is not selected: %v", err)
			}
			if err := incr(c, key); err == nil {
				t.Error("no error from a cut connection")
			}
			if got := s.DoInt("EXISTS", key); got != tc.executed {
				t.Errorf("executed %d times, want %d", got, tc.executed)
			}
			if got, want := p.Counts(), map[string]int64{tc.fault: 1}; !reflect.DeepEqual(got, want) {
				t.Errorf("Counts = %v, want %v", got, want)
			}
			if err := incr(c, key); err != nil {
				t.Errorf("the next command: %v", err)
			}
		})
	}
}

func TestProxyHoldsUntilClear(t *testing.T) {
	t.Parallel()
	s := Start(t)
	p := StartProxy(t, s.Addr())
	c := dial(t, p)
	p.CutBeforeRequest(-1)
	for range 3 {
		if incr(c, "k") == nil {
			t.Error("no error")
		}
	}
	p.Clear()
	if err := incr(c, "k"); err != nil {
		t.Error(err)
	}
	if n := p.Counts()[FaultCutBefore]; n != 3 {
		t.Errorf("%d cuts", n)
	}
}

func TestProxyDelay(t *testing.T) {
	t.Parallel()
	p := StartProxy(t, Start(t).Addr())
	c := dial(t, p)
	const d = 80 * time.Millisecond
	p.Delay(d)
	began := time.Now()
	if err := incr(c, "k"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < d {
		t.Errorf("answered after %v", took)
	}
	if p.Counts()[FaultDelay] != 1 {
		t.Errorf("Counts = %v", p.Counts())
	}
	// A delay does not keep the proxy from closing.
	p.Delay(time.Hour)
	done := make(chan error, 1)
	go func() { done <- incr(c, "k") }()
	time.Sleep(20 * time.Millisecond)
	p.Close()
	if err := <-done; err == nil {
		t.Error("an answer from a closed proxy")
	}
}

func TestProxyBlackhole(t *testing.T) {
	t.Parallel()
	s := Start(t)
	p := StartProxy(t, s.Addr())
	c := dial(t, p)
	p.Blackhole(true)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := c.Do(ctx, c.B().Incr().Key("k").Build()).Error(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v", err)
	}
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatalf("not accepted: %v", err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "PING\r\n")
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	var ne net.Error
	if _, err := conn.Read(make([]byte, 1)); !errors.As(err, &ne) || !ne.Timeout() {
		t.Errorf("read from a black hole: %v", err)
	}
	if s.DoInt("EXISTS", "k") != 0 || p.Counts()[FaultBlackhole] < 2 {
		t.Errorf("Counts = %v", p.Counts())
	}
	p.Blackhole(false)
	eventually(t, func() bool { return incr(c, "k") == nil })
}

func TestProxyRefuse(t *testing.T) {
	t.Parallel()
	p := StartProxy(t, Start(t).Addr())
	c := dial(t, p)
	p.Refuse(true)
	if err := incr(c, "k"); err != nil {
		t.Errorf("an open connection: %v", err)
	}
	p.Down()
	if err := incr(c, "k"); err == nil {
		t.Error("no error")
	}
	eventually(t, func() bool { _ = incr(c, "k"); return p.Counts()[FaultRefuse] > 0 })
	p.Up()
	eventually(t, func() bool { return incr(c, "k") == nil })
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := poll(ctx, "it did not happen", ok); err != nil {
		t.Fatal(err)
	}
}

func TestProxyRandom(t *testing.T) {
	t.Parallel()
	s := Start(t)
	p := StartProxy(t, s.Addr())
	c := dial(t, p)
	p.SetFaults(Faults{Seed: 7, CutBefore: 0.1, CutAfter: 0.1, CutMid: 0.1, DelayProb: 0.2, MaxDelay: time.Millisecond, Only: []string{"Incr"}})
	var applied int64
	for range 200 {
		if incr(c, "k") == nil {
			applied++
		}
		// Not selected, so never hit.
		if _, err := c.Do(context.Background(), c.B().Get().Key("other").Build()).ToString(); !rueidis.IsRedisNil(err) {
			t.Fatal(err)
		}
	}
	n := p.Counts()
	for _, f := range []string{FaultCutBefore, FaultCutAfter, FaultCutMid, FaultDelay} {
		if n[f] == 0 {
			t.Errorf("%s did not occur: %v", f, n)
		}
	}
	if got, want := s.DoInt("GET", "k"), applied+n[FaultCutAfter]+n[FaultCutMid]; got != want {
		t.Errorf("%d executed, want %d (%v)", got, want, n)
	}
	if cuts := n[FaultCutBefore] + n[FaultCutAfter] + n[FaultCutMid]; cuts+applied != 200 {
		t.Errorf("%d cuts and %d successes of 200", cuts, applied)
	}
}

// TestProxyPipeline sends many commands at once: all before the one that is
// cut are answered.
func TestProxyPipeline(t *testing.T) {
	t.Parallel()
	s := Start(t)
	for _, proto := range []string{"2", "3"} {
		p := StartProxy(t, s.Socket())
		conn, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		p.CutBeforeRequest(1, "GET")
		var b strings.Builder
		fmt.Fprintf(&b, "HELLO %s\r\nSUBSCRIBE a b\r\nUNSUBSCRIBE\r\n", proto)
		for i := range 100 {
			fmt.Fprintf(&b, "ECHO %d\r\n", i)
		}
		b.WriteString("GET k\r\n")
		if _, err := io.WriteString(conn, b.String()); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		for range 5 { // HELLO, two and two confirmations
			if _, err := appendValue(nil, r); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 100 {
			if v, err := readReply(r); err != nil || v != fmt.Sprint(i) {
				t.Fatalf("reply %d = %v, %v", i, v, err)
			}
		}
		if _, err := r.ReadByte(); err == nil {
			t.Error("an answer to the command that was cut")
		}
		if p.Counts()[FaultCutBefore] != 1 {
			t.Errorf("Counts = %v", p.Counts())
		}
	}
}

func TestProxyPubSub(t *testing.T) {
	t.Parallel()
	s := Start(t)
	p := StartProxy(t, s.Addr())
	c := dial(t, p)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	got := make(chan string, 1)
	done := make(chan error, 1)
	go func() {
		done <- c.Receive(ctx, c.B().Subscribe().Channel("ch").Build(), func(m rueidis.PubSubMessage) {
			select {
			case got <- m.Message:
			default:
			}
		})
	}()
	eventually(t, func() bool { return s.DoInt("PUBLISH", "ch", "hello") == 1 })
	if m := <-got; m != "hello" {
		t.Errorf("message %q", m)
	}
	// The replies still match after a subscription.
	p.CutAfterRequest(1, "INCR")
	if err := c.Do(ctx, c.B().Set().Key("x").Value("y").Build()).Error(); err != nil {
		t.Error(err)
	}
	if err := incr(c, "k"); err == nil || s.DoInt("GET", "k") != 1 {
		t.Errorf("cut after INCR: %v", err)
	}
	cancel()
	<-done
}

func TestProxyWithoutUpstream(t *testing.T) {
	t.Parallel()
	p, err := NewProxy("unix:///nowhere/at/all")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("something answered")
	}
}

// StopAfter is a client that was killed: what comes after is never executed,
// but for the one whose answer is lost.
func TestProxyStopAfter(t *testing.T) {
	t.Parallel()
	s := Start(t)
	for _, executed := range []bool{false, true} {
		p := StartProxy(t, s.Socket())
		c := dial(t, p)
		key := fmt.Sprint(executed)
		p.StopAfter(3, executed)
		want := int64(3)
		for n := range int64(6) {
			if err := incr(c, key); (err == nil) != (n < 3) {
				t.Errorf("executed %v: command %d: %v", executed, n+1, err)
			}
		}
		if executed {
			want++
		}
		if got := s.DoInt("GET", key); got != want {
			t.Errorf("executed %v: %d commands were executed, want %d", executed, got, want)
		}
	}
}
