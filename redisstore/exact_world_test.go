package redisstore_test

import (
	"fmt"

	"github.com/poolkeeper/poolkeeper"
)

const exactPrefix = "exact:"

// The pools, with their Redis keys as the documentation has them: the checker
// builds no name with the code that it checks.
var exactPools = []struct{ typ, key string }{
	{"claude-kiro-oauth", "exact:pools:claude-kiro-oauth"},
	{"odd {type}:%", "exact:pools:odd %7Btype%7D%3A%25"},
	{exactBig, "exact:pools:openai-custom"},
}

const (
	exactBig     = "openai-custom" // the pool that is replaced whole all the time
	exactBigSize = 5000
	exactTail    = 10 // of them, how many are others in each generation
	exactInPool  = 10 // counted providers in each of the first two pools
	exactCalm    = 6  // providers there that nobody touches
)

// An exactCounter is a provider whose increments are counted. Its definition
// carries its name, by which it is found whatever its id is at the moment.
type exactCounter struct {
	name    string
	pool    int // index into exactPools
	ids     []string
	literal string // of usageCount in the definition; empty where it has none
	base    int64  // what the literal denotes
	patched bool   // the field note is changed all the time
}

// The literals that counters begin from, and what they denote.
var exactBases = []struct {
	literal string
	value   int64
}{
	{"0", 0}, {"", 0}, {"7", 7}, {`"12"`, 12}, {"3.0", 3}, {"null", 0}, {"9007199254740991", 9007199254740991},
	{"4611686018427387904", 4611686018427387904}, {"-5", -5}, {"1e3", 1000},
}

// exactCounters are all of them: 20 in the first two pools, of which some are
// renamed forth and back, and two in the pool that is replaced.
var exactCounters = func() (all []*exactCounter) {
	for pool := range 2 {
		for i := range exactInPool {
			c := &exactCounter{name: fmt.Sprintf("p%d%d", pool, i), pool: pool}
			id := fmt.Sprintf("00000000-0000-4000-8000-%011d%d", i, pool)
			if pool == 1 {
				id = fmt.Sprintf("b:%d {ü}*%%,;", i)
			}
			c.ids = []string{id}
			if i%5 == 3 {
				c.ids = append(c.ids, id+":renamed")
			}
			c.patched = i%3 == 0
			c.literal, c.base = exactBases[i].literal, exactBases[i].value
			all = append(all, c)
		}
	}
	for i := range 2 {
		all = append(all, &exactCounter{name: fmt.Sprintf("q%d", i), pool: 2, ids: []string{exactBigID(i)}, literal: "5", base: 5})
	}
	return all
}()

func (c *exactCounter) ref(id string) poolkeeper.Ref {
	return poolkeeper.Ref{Type: exactPools[c.pool].typ, ID: id}
}

// definition is the definition under an id, after a patch of note.
func (c *exactCounter) definition(id, note string) string {
	count := ""
	if c.literal != "" {
		count = `"usageCount":` + c.literal + `,`
	}
	return fmt.Sprintf("{ \"exact\" : %q,\t\"uuid\":%q,%s\"big\":123456789012345678901234567890,\"list\":[],\"none\":{},\"one\":1.0,"+
		`"esc":"\u003c\/\ud800","note":%s,"usagecount":1e400}`, c.name, id, count, note)
}

// exactBigID is the id of a provider of the replaced pool that always stays.
func exactBigID(i int) string { return fmt.Sprintf("big-%05d", i) }

// exactGeneration is the replaced pool: each definition says of which
// generation it is. The last ones have other ids than in the generation before.
func exactGeneration(gen int) [][]byte {
	defs := make([][]byte, 0, exactBigSize)
	for i := range exactBigSize - exactTail {
		defs = append(defs, fmt.Appendf(nil, `{"uuid":%q,"usageCount":5,"gen":%d,"a":[],"o":{},"f":1.0}`, exactBigID(i), gen))
	}
	for i := range exactTail {
		defs = append(defs, fmt.Appendf(nil, `{"uuid":"tail-%d-%d","gen":%d}`, gen%3, i, gen))
	}
	return defs
}

// exactCalmOnes are definitions that nobody touches, by id.
var exactCalmOnes = map[string]string{
	"calm-0": `{"uuid":"calm-0"}`,
	"calm-1": `{"uuid":"calm-1","a":[],"o":{},"n":null,"s":"","deep":{"x":[],"y":{"z":{}},"l":[[],{}]},"usageCount":" 7 ","errorCount":3.0}`,
	"calm-2": `{"big":123456789012345678901234567890,"uuid":"calm-2","one":1.0,"e":1e21,"E":1E-7,"nz":-0,"tiny":5e-324,"huge":1e400}`,
	"calm-3": `{"uuid":"calm-3","esc":"\u003c\/\u2028\b\f\n\r\t\"\\","raw":"</` + "\u2028\x7f" + `","nul":"\u0000","lone":"\ud800","é":"e\u0301"}`,
	"calm-4": " \r\n{\r\n\t\"uuid\" :\t\"calm-4\" ,\r\n  \"a\" : 1,\"a\":2,\"\":0,\"__proto__\":{\"x\":1},\"10\":1,\"9\":2\r\n}\r\n",
	"calm-5": "{\"uuid\":\"calm-5\",\"bad\":\"\xff\xfe\xc3\",\"usage\\u0043ount\":41}",
}

// exactStart is the content that a run begins with.
func exactStart() *poolkeeper.Snapshot {
	snap := poolkeeper.NewSnapshot()
	pools := make([]*poolkeeper.Pool, len(exactPools))
	for i, p := range exactPools {
		pools[i] = &poolkeeper.Pool{Type: p.typ}
		snap.AddPool(pools[i])
	}
	add := func(pool int, id, definition string) {
		pools[pool].Providers = append(pools[pool].Providers, poolkeeper.Provider{
			Ref: poolkeeper.Ref{Type: exactPools[pool].typ, ID: id}, Definition: []byte(definition)})
	}
	for _, c := range exactCounters {
		if c.pool < 2 {
			add(c.pool, c.ids[0], c.definition(c.ids[0], "0"))
		}
	}
	for pool := range 2 {
		for i := range exactCalm {
			id := fmt.Sprintf("calm-%d", i)
			add(pool, id, exactCalmOnes[id])
		}
	}
	for _, def := range exactGeneration(0) {
		id, _ := poolkeeper.UsableUUID(def)
		add(2, id, string(def))
	}
	return snap
}
