package storetest

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// A generator makes random ops that mostly hit something that is there.
type generator struct {
	*rand.Rand
	state *poolkeeper.Snapshot // of the oracle, before the batch
	at    int64
	now   func() time.Time
}

var (
	modelTypes = []string{"claude-kiro-oauth", "", "a{b}c", "%7B:"}
	modelIDs   = []string{"a", "B", "x:1 y", "{}:usageCount", "~00112233", "ü\n", "zz"}
	modelKeys  = []poolkeeper.Key{
		poolkeeper.ConfigKey, poolkeeper.PasswordKey, poolkeeper.DocumentKey("plugins.json"), poolkeeper.DocumentKey("usage:{x}"),
		poolkeeper.TokenKey(ref("a{b}c", "a")), poolkeeper.TokenKey(ref("", "x:1 y")), poolkeeper.FileKey("configs/a b"),
		poolkeeper.FileKey("*"), poolkeeper.TokenRefKey("configs/k.json"), poolkeeper.SessionKey(poolkeeper.SessionName("s1")),
		poolkeeper.SessionKey(poolkeeper.SessionName("s2")),
	}
)

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

// oneIn is true once in n times.
func (g *generator) oneIn(n int) bool { return g.IntN(n) == 0 }

func (g *generator) ref() poolkeeper.Ref { return ref(pick(g, modelTypes), pick(g, modelIDs)) }

// batch makes the ops of one call. Ops on several keys have no order among
// them, so in a batch of such no op makes or removes a type. pool says that
// there is one op, whose condition shall be the structure revision of its pool.
func (g *generator) batch() (ops []poolkeeper.Op, pool bool) {
	switch n := g.IntN(100); {
	case n < 58:
		typ := pick(g, modelTypes)
		for range 1 + g.IntN(6) {
			ops = append(ops, g.poolOp(typ))
		}
	case n < 64:
		op := g.wholePool(pick(g, modelTypes))
		op.If = poolkeeper.Always
		return []poolkeeper.Op{op}, true
	case n < 82:
		key := pick(g, modelKeys)
		for range 1 + g.IntN(4) {
			ops = append(ops, g.valueOp(key))
		}
	case n < 98:
		for range 2 + g.IntN(12) {
			if g.oneIn(4) {
				ops = append(ops, g.valueOp(pick(g, modelKeys)))
			} else {
				ops = append(ops, g.runtimeOp(g.ref()))
			}
		}
	default:
		order := slices.Clone(g.state.Types)
		g.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		if g.oneIn(4) {
			order = append(order, "surplus")
		}
		ops = append(ops, reorderTypes(order...))
	}
	return ops, false
}

// poolOp makes an op on a pool, most likely one on runtime state.
func (g *generator) poolOp(typ string) poolkeeper.Op {
	r := ref(typ, pick(g, modelIDs))
	p := g.state.Provider(r)
	switch n := g.IntN(100); {
	case p == nil && n < 40, n < 8:
		return add(r, g.members())
	case n < 55:
		return g.runtimeOp(r)
	case n < 68:
		op := put(r, g.members())
		if g.oneIn(4) {
			op.State = g.someState()
		}
		return given(g.cond(p), op)
	case n < 80:
		op := merge(r, g.mergePatch())
		if g.oneIn(3) {
			op = jsonPatch(op, g.jsonPatch())
		}
		return given(g.cond(p), op)
	case n < 88:
		if id := pick(g, modelIDs); id != r.ID && id[0] != '~' {
			return given(g.cond(p), rename(r, id))
		}
		return g.runtimeOp(r)
	case n < 94:
		return given(g.cond(p), remove(r))
	default:
		return g.wholePool(typ)
	}
}

func (g *generator) wholePool(typ string) poolkeeper.Op {
	order := slices.Clone(modelIDs)
	g.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	switch n := g.IntN(10); {
	case n < 5:
		var records []poolkeeper.ProviderRecord
		for _, id := range order[:g.IntN(len(order)+1)] {
			rec := record(id, g.members())
			if g.oneIn(5) {
				rec.State = g.someState()
			}
			records = append(records, rec)
		}
		return replace(typ, records...)
	case n < 9:
		if p := g.state.Pools[typ]; p != nil && !g.oneIn(5) {
			order = ids(p)
			g.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		return reorder(typ, order...)
	default:
		return removePool(typ)
	}
}

// runtimeOp makes an op on runtime state. Its time mostly goes forward, by
// steps that fall within and without the windows of the rules.
func (g *generator) runtimeOp(r poolkeeper.Ref) poolkeeper.Op {
	g.at += pick(g, []int64{0, 1, 1_000, 4_000, 10_000, 10_001, 30_000, -5_000})
	g.at = max(base, g.at)
	op := on(poolkeeper.OpUsage, r)
	op.At, op.N = g.at, pick(g, []int64{1, 1, 1, 2, 1000, poolkeeper.MaxUsage})
	switch g.IntN(8) {
	case 0, 1, 2:
		return op
	case 3:
		op.IdempotencyKey = pick(g, []string{"a", "b", "c", strconv.FormatUint(g.Uint64(), 36)})
		op.N = pick(g, []int64{1, 1, 2})
		return op
	}
	op.N = 0
	op.Threshold = pick(g, []int64{0, 1, 3, 10})
	if g.oneIn(2) {
		op.Message = text(pick(g, []string{"", "HTTP 500", "\"quoted\" \\ \n\u2028 ü 🔑 \x00\x7f", "a,b;c%25\r"}))
	}
	if g.oneIn(3) {
		op.Model = text(pick(g, []string{"", "claude-3", "m:1,{2}"}))
	}
	switch g.IntN(8) {
	case 0, 1, 2:
		op.Kind = poolkeeper.OpError
		op.Immediate = g.oneIn(4)
		if g.oneIn(5) {
			op.RecoverAt = g.at + 60_000
		}
	case 3:
		op.Kind, op.N = poolkeeper.OpSuccess, int64(g.IntN(3))
	case 4:
		op.Kind, op.Healthy = poolkeeper.OpHealth, g.oneIn(2)
	case 5, 6:
		op.Kind = poolkeeper.OpRefresh
		op.Phase = pick(g, []poolkeeper.RefreshPhase{poolkeeper.RefreshNeeded, poolkeeper.RefreshNeeded, poolkeeper.RefreshStarted,
			poolkeeper.RefreshDone, poolkeeper.RefreshFailed})
	case 7:
		op.Kind, op.Usage = poolkeeper.OpReset, g.oneIn(3)
	}
	return op
}

// cond makes a condition on a definition, which holds more often than not.
func (g *generator) cond(p *poolkeeper.Provider) poolkeeper.If {
	current := poolkeeper.If("00112233445566778899aabbccddeeff")
	if p != nil {
		current = poolkeeper.If(p.ETag())
	}
	return g.condOf(current)
}

func (g *generator) condOf(current poolkeeper.If) poolkeeper.If {
	switch g.IntN(12) {
	case 0:
		return poolkeeper.IfAbsent
	case 1:
		return poolkeeper.IfPresent
	case 2, 3:
		return current
	case 4:
		return "ffeeddccbbaa99887766554433221100"
	}
	return poolkeeper.Always
}

// valueOp makes an op on a value.
func (g *generator) valueOp(key poolkeeper.Key) poolkeeper.Op {
	d, ok := g.state.Values[key]
	cond := g.condOf("00112233445566778899aabbccddeeff")
	if ok {
		cond = g.condOf(poolkeeper.If(d.ETag()))
	}
	patchable := key.Kind == poolkeeper.KindConfig || key.Kind == poolkeeper.KindDocument || key.Kind == poolkeeper.KindToken
	switch n := g.IntN(10); {
	case n < 2:
		return given(cond, removeValue(key))
	case n < 5 && patchable:
		if g.oneIn(3) {
			return given(cond, jsonPatch(mergeValue(key, ""), g.jsonPatch()))
		}
		return given(cond, mergeValue(key, g.mergePatch()))
	}
	op := putValue(key, "{"+g.members()+"}")
	switch {
	case key.Kind == poolkeeper.KindTokenRefs:
		op.Data = poolkeeper.EncodeTokenOwner(g.ref())
	case key.Kind == poolkeeper.KindSession && !g.oneIn(3):
		op.ExpiresAt = g.now().Add(time.Duration(1+g.IntN(3)) * 24 * time.Hour).Truncate(time.Hour).UnixMilli()
	case g.oneIn(6):
		op.Data = []byte(pick(g, []string{"", "[]", "\xff\x00", "{", "\ufeff{}", "1"}))
	}
	return given(cond, op)
}

// timeLiterals stand where a time should.
var timeLiterals = []string{
	iso(base), iso(base + 9_000), `"2026-01-25T10:30:05Z"`, `"2026-01-25T11:30:05.5+01:00"`, `"2026-01-25T10:30:07.123456Z"`,
	strconv.FormatInt(base+3_000, 10), `"` + strconv.FormatInt(base, 10) + `"`, strconv.FormatInt(base, 10) + ".0", `"2026-02-30T10:30:00.000Z"`,
	`"2026-01-25 10:30"`, `""`, "null", "0", "true", `[]`, `"2026\u002d01-25T10:30:05.000Z"`, `"9999-12-31T23:59:59.999Z"`, "1769e9", `"+012026-01-25T10:30:05.000Z"`,
}

// members makes the members of a definition or document, runtime fields with
// literals of all kinds among them.
func (g *generator) members() string {
	var out []string
	if g.oneIn(4) {
		return ""
	}
	for range g.IntN(7) {
		switch g.IntN(6) {
		case 0, 1:
			name := pick(g, []string{"usageCount", "errorCount", "refreshCount", `usage\u0043ount`, "_lastSelectionSeq"})
			out = append(out, `"`+name+`":`+pick(g, counters).literal)
		case 2:
			out = append(out, `"`+pick(g, []string{"lastUsed", "lastErrorTime", "lastRefreshTime", "scheduledRecoveryTime"})+`":`+pick(g, timeLiterals))
		case 3:
			out = append(out, `"`+pick(g, []string{"isHealthy", "needsRefresh"})+`":`+
				pick(g, []string{"true", "false", "null", "0", "1", "-0.0", "0e9", `""`, `"false"`, "[]", "{}"}))
		case 4:
			out = append(out, `"`+pick(g, []string{"lastErrorMessage", "lastHealthCheckModel"})+`":`+pick(g, []string{"null", `"m"`, `"\ud800\u003c"`, `{"a":[]}`}))
		default:
			out = append(out, `"`+pick(g, []string{"x", "y", "o", "", "__proto__", "é"})+`":`+
				pick(g, []string{"1.0", "123456789012345678901234567890", "[]", "{}", `{"a":1}`, "null", `"\u2028"`, "[ 1 ,2]"}))
		}
	}
	return strings.Join(out, pick(g, []string{",", ", ", " ,\n  "}))
}

func (g *generator) mergePatch() string {
	return pick(g, []string{`{}`, `{"x":2.50}`, `{"x":null}`, `{"o":{"b":[],"a":null}}`, `{"new":"\u00e9","y":[]}`, `{"":{}}`, `{"usageCount":1}`,
		`{"uuid":"q"}`, `{"lastErrorMessage":null}`, `{"é":{"deep":{"er":1e400}}}`})
}

func (g *generator) jsonPatch() string {
	return pick(g, []string{`[]`, `[{"op":"add","path":"/x","value":null}]`, `[{"op":"remove","path":"/x"}]`,
		`[{"op":"test","path":"/x","value":1},{"op":"replace","path":"/x","value":[]}]`, `[{"op":"add","path":"/o","value":{}},{"op":"add","path":"/o/p","value":1.0}]`,
		`[{"op":"move","from":"/y","path":"/x"}]`, `[{"op":"remove","path":"/uuid"}]`, `[{"op":"copy","from":"/o","path":"/new"}]`})
}

// someState makes a runtime state to be laid over a definition.
func (g *generator) someState() *poolkeeper.State {
	s := &poolkeeper.State{DecidedAt: pick(g, []int64{0, base})}
	for range g.IntN(4) {
		s.Set(pick(g, []poolkeeper.Field{poolkeeper.UsageCount, poolkeeper.ErrorCount}), pick(g, []string{poolkeeper.Absent, "0", "41", "9007199254740993"}))
		s.Set(pick(g, []poolkeeper.Field{poolkeeper.LastErrorTime, poolkeeper.LastUsed, poolkeeper.LastErrorMessage}), pick(g, []string{poolkeeper.Absent, "null", iso(base)}))
		s.Set(poolkeeper.IsHealthy, pick(g, []string{poolkeeper.Absent, "true", "false", "null"}))
	}
	return s
}
