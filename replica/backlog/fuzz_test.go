package backlog

import (
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// Whatever the records of a journal are, reading them ends, and what they leave
// can be written anew and read again.
func FuzzRecords(f *testing.F) {
	op, err := poolkeeper.EncodeOp(new(use("x", "a", 1)))
	if err != nil {
		f.Fatal(err)
	}
	fresh := append([]byte{opRecord}, op...)
	request := encodeFrozen(frozenOf(poolkeeper.QueuedOp{Op: use("x", "a", 1)}))
	again := copyOf(1, new(use("x", "a", 2)))
	var settled writer = record(settleRecord)
	settled.number(3, 1, 1, 2, refused)
	settled.text(encodeResult(poolkeeper.Result{Err: poolkeeper.ErrNotFound}))
	f.Add(fresh, programOf("p1", []byte("s")), request)
	f.Add(fresh, again, []byte{foldRecord, 1, 1, 1})
	f.Add(programOf("p1", []byte("s")), fresh, []byte(request))
	f.Add(fresh, []byte{settleRecord, 0, 1, 1, 1, applied}, []byte(settled))
	f.Add(fresh, []byte{dropRecord, 1, 1, 1}, []byte("L[]"))
	f.Add([]byte{retryRecord, 1}, []byte{discardRecord, 1, 1, 1}, []byte{epochRecord, 0})
	f.Add([]byte{frozenRecord, 0, 0, 0, 0, 255, 255, 255, 255, 15}, []byte{asideRecord, 1, 1, 0}, []byte{})
	f.Add(append([]byte{rescueRecord, 0}, op...), append([]byte{againRecord, 1, 1}, op...), []byte(`l{"key":{},"ops":1}`))
	f.Add([]byte(`M[{"ops":1}]`), []byte{rescueRecord, 9}, []byte{againRecord, 1, 0})
	f.Add([]byte(`c{"journal":"j","marks":[{"generation":1,"nonce":"n"}],"doubt":2}`), fresh, []byte(`c{"journal":"j"}`))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		log, err := Open("", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, rec := range [][]byte{a, b, c} {
			if !log.replay(uint64(i+1), rec) {
				return
			}
		}
		if log.settleDown() != nil {
			return
		}
		want := log.text()
		copied := &copying{Backlog: log, upTo: 10, did: map[uint64]bool{}, frozenLeft: sortedKeys(log.frozen), entriesLeft: sortedKeys(log.entries), asideLeft: sortedKeys(log.aside)}
		for !copied.done {
			copied.size = 0
			copied.fill()
		}
		anew, _ := Open("", nil)
		for i, rec := range copied.records {
			if !anew.replay(uint64(i+11), rec) {
				t.Fatalf("record %q, written anew, cannot be read", rec)
			}
		}
		if err := anew.settleDown(); err != nil {
			t.Fatal(err)
		}
		if got := anew.text(); got != want {
			t.Errorf("written anew it is\n%s\nwant\n%s", got, want)
		}
	})
}
