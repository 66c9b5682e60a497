package replica_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestCopyAfterALoss: a copy that had seen what Redis has lost follows what it is
// given again, and goes on, also where it is that of an instance that only reads.
func TestCopyAfterALoss(t *testing.T) {
	srv := redistest.Start(t)
	writer := openRedis(t, srv.SocketURL(), "t:")
	snap := poolkeeper.NewSnapshot()
	ref := poolkeeper.Ref{Type: "kiro", ID: "a"}
	snap.AddPool(&poolkeeper.Pool{Type: "kiro", Providers: []poolkeeper.Provider{{Ref: ref, Definition: []byte(`{"uuid":"a"}`)}}})
	if err := writer.Restore(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	st := poolkeeper.New(over(t, writer, time.Now), nil)
	defer st.Close()
	reader := poolkeeper.New(over(t, openRedis(t, srv.SocketURL(), "t:"), time.Now), nil)
	defer reader.Close()
	write := func(n int) {
		t.Helper()
		if _, err := st.Usage(t.Context(), ref, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := st.PutDocument(t.Context(), "d.json", fmt.Appendf(nil, `{"n":%d}`, n), poolkeeper.Always); err != nil {
			t.Fatal(err)
		}
	}
	shows := func(n int) {
		t.Helper()
		for name, s := range map[string]*poolkeeper.Store{"the writer": st, "the reader": reader} {
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				p, err := s.Provider(t.Context(), ref)
				d, derr := s.Document(t.Context(), "d.json")
				count := int64(-1)
				if err == nil {
					count = p.Count(poolkeeper.UsageCount)
				}
				if count == int64(n) && derr == nil && string(d.Data) == fmt.Sprintf(`{"n":%d}`, n) {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("%s shows %d and %s (%v, %v), want %d", name, count, d.Data, err, derr, n)
				}
			}
		}
	}
	write(1)
	if _, err := srv.Do("SAVE"); err != nil {
		t.Fatal(err)
	}
	for n := 2; n <= 30; n++ {
		write(n)
	}
	shows(30)
	srv.Kill()
	srv.Restart()
	shows(30)
	write(31)
	shows(31)
	if got := srv.DoString("HGET", "t:state:{t:pools:kiro}", "a:usageCount"); got != "31" {
		t.Errorf("Redis has %s", got)
	}
}
