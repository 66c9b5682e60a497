package poolkeeper_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

// A change is the same after it was written and read.
func TestChangeEncoding(t *testing.T) {
	var state poolkeeper.State
	state.Set(poolkeeper.UsageCount, "9007199254740993")
	state.Set(poolkeeper.LastErrorMessage, poolkeeper.Absent)
	state.Set(poolkeeper.LastErrorTime, "\"\xff\"")
	state.DecidedAt = 7
	rev := func(n uint64) poolkeeper.Revision { return poolkeeper.Revision{Number: n, Writer: "w", Seq: 2} }
	for _, c := range []poolkeeper.Change{
		{Kind: poolkeeper.ChangeReady},
		{Kind: poolkeeper.ChangePool, Key: poolkeeper.PoolKey("")},
		{Kind: poolkeeper.ChangePut, Key: poolkeeper.PoolKey("a{b}"), Before: rev(1), After: rev(2), ID: "ü\n", Definition: []byte("{ \"x\":1.0,\"b\":\"\xff\"}"),
			States: []poolkeeper.ProviderState{{ID: "ü\n", State: state, Whole: true}}},
		{Kind: poolkeeper.ChangeRename, Key: poolkeeper.PoolKey("t"), Before: rev(2), After: rev(3), ID: "a", NewID: "b"},
		{Kind: poolkeeper.ChangeState, Key: poolkeeper.PoolKey("t"), After: rev(1), States: []poolkeeper.ProviderState{{ID: "a", State: state}, {ID: "b"}}},
		{Kind: poolkeeper.ChangeValue, Key: poolkeeper.FileKey("configs/f"), Before: rev(1), After: rev(1 << 63)},
	} {
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var got poolkeeper.Change
		if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%s\nwas read as %+v, %v; want %+v", b, got, err, c)
		}
	}
	for _, bad := range []string{`{"kind":"put","more":1}`, `{"before":"x"}`, `{"after":"1"}`, `{"kind":1}`, `[]`} {
		var c poolkeeper.Change
		if err := json.Unmarshal([]byte(bad), &c); err == nil {
			t.Errorf("%s was read as %+v", bad, c)
		}
	}
}

func TestProviderStateOver(t *testing.T) {
	var old, written poolkeeper.State
	old.Set(poolkeeper.UsageCount, "1")
	old.Set(poolkeeper.ErrorCount, "2")
	old.DecidedAt = 5
	written.Set(poolkeeper.ErrorCount, poolkeeper.Absent)
	want := old
	want.Set(poolkeeper.ErrorCount, poolkeeper.Absent)
	if got := (&poolkeeper.ProviderState{State: written}).Over(old); got != want {
		t.Errorf("some fields: %+v, want %+v", got, want)
	}
	if got := (&poolkeeper.ProviderState{State: written, Whole: true}).Over(old); got != written {
		t.Errorf("a whole state: %+v, want %+v", got, written)
	}
}

// blind is a backend that is no Watcher.
type blind struct{ poolkeeper.Backend }

func TestWatchOfWhatCannotTell(t *testing.T) {
	err := poolkeeper.New(blind{memstore.New(nil)}, nil).Watch(t.Context(), func(poolkeeper.Change) { t.Error("it began") })
	if !errors.Is(err, poolkeeper.ErrInvalid) || !strings.Contains(err.Error(), "watch") {
		t.Errorf("error %v", err)
	}
}
