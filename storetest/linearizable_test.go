package storetest

import (
	"math"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/poolkeeper/poolkeeper"
)

// call makes one entry of a history.
func call(client int, from, to int64, input, output any) porcupine.Operation {
	return porcupine.Operation{ClientId: client, Call: from, Return: to, Input: input, Output: output}
}

func TestCheckerOfPools(t *testing.T) {
	addA := call(0, 0, 1, poolInput{kind: "add", n: 5}, providerAnswer{id: "a"})
	use := func(client int, from, to, count int64) porcupine.Operation {
		return call(client, from, to, poolInput{kind: "usage", n: 1}, providerAnswer{id: "a", count: count})
	}
	read := func(from, usage int64) porcupine.Operation {
		return call(2, from, from+1, poolInput{kind: "get"}, providerAnswer{id: "a", state: providerState{there: true, value: 5, usage: usage}})
	}
	lost := call(1, 10, math.MaxInt64, poolInput{kind: "usage", n: 1}, indeterminate{})
	for name, c := range map[string]struct {
		history []porcupine.Operation
		want    bool
	}{
		"one after the other":         {[]porcupine.Operation{addA, use(0, 10, 11, 1), use(1, 20, 21, 2), read(30, 2)}, true},
		"at once, in either order":    {[]porcupine.Operation{addA, use(0, 10, 20, 2), use(1, 10, 20, 1)}, true},
		"a lost update":               {[]porcupine.Operation{addA, use(0, 10, 20, 1), use(1, 10, 20, 1)}, false},
		"a stale read":                {[]porcupine.Operation{addA, use(0, 10, 11, 1), read(20, 0)}, false},
		"unknown, and it happened":    {[]porcupine.Operation{addA, lost, read(20, 0), read(30, 1)}, true},
		"unknown, and it did not":     {[]porcupine.Operation{addA, lost, read(20, 0), read(30, 0)}, true},
		"unknown, and undone again":   {[]porcupine.Operation{addA, lost, read(20, 1), read(30, 0)}, false},
		"unknown, and counted twice":  {[]porcupine.Operation{addA, lost, read(20, 2)}, false},
		"a condition that was passed": {[]porcupine.Operation{addA, call(1, 10, 11, poolInput{kind: "put", cond: poolkeeper.IfAbsent}, providerAnswer{id: "a"})}, false},
	} {
		if got := porcupine.CheckOperations(poolModel.ToModel(), c.history); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestCheckerOfDocuments(t *testing.T) {
	one, two := docState{there: true, a: 1}, docState{there: true, a: 2}
	put := func(from, to int64, d docState) porcupine.Operation {
		return call(0, from, to, docInput{kind: "put", next: d}, true)
	}
	read := func(from int64, body string) porcupine.Operation {
		return call(1, from, from+1, docInput{kind: "get"}, body)
	}
	for name, c := range map[string]struct {
		history []porcupine.Operation
		want    bool
	}{
		"in order":           {[]porcupine.Operation{put(0, 1, one), put(10, 11, two), read(20, two.body())}, true},
		"back to an old one": {[]porcupine.Operation{put(0, 1, one), put(10, 11, two), read(20, one.body())}, false},
		"gone":               {[]porcupine.Operation{put(0, 1, one), read(20, "")}, false},
		"written on another": {[]porcupine.Operation{put(0, 1, one), call(1, 10, 11, docInput{kind: "put", cond: "seen", seen: two}, true)}, false},
	} {
		if got := porcupine.CheckOperations(documentModel.ToModel(), c.history); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
