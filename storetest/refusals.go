package storetest

import (
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// badOps are ops that no state makes good, each with its error.
func badOps() map[string]badOp {
	a := ref("t", "a")
	with := func(op poolkeeper.Op, change func(*poolkeeper.Op)) poolkeeper.Op {
		change(&op)
		return op
	}
	def := func(s string) poolkeeper.Op {
		return with(put(a, ""), func(op *poolkeeper.Op) { op.Data = []byte(s) })
	}
	invalid, large := poolkeeper.ErrInvalid, poolkeeper.ErrTooLarge
	big := strings.Repeat("x", poolkeeper.MaxDefinition)
	return map[string]badOp{
		"no kind":                       {poolkeeper.Op{Key: poolkeeper.PoolKey("t"), ID: "a"}, invalid},
		"an unknown kind":               {on("explode", a), invalid},
		"no key":                        {poolkeeper.Op{Kind: poolkeeper.OpPut}, invalid},
		"the key of a provider":         {with(usage(a, 1), func(op *poolkeeper.Op) { op.Key = poolkeeper.ProviderKey(a) }), invalid},
		"a pool op on a document":       {with(usage(a, 1), func(op *poolkeeper.Op) { op.Key = poolkeeper.DocumentKey("x") }), invalid},
		"a value op on a pool":          {with(putValue(poolkeeper.ConfigKey, "{}"), func(op *poolkeeper.Op) { op.Key = poolkeeper.PoolKey("t") }), invalid},
		"an empty id":                   {usage(ref("t", ""), 1), invalid},
		"an id that is not UTF-8":       {usage(ref("t", "\xff"), 1), invalid},
		"an id with NUL":                {usage(ref("t", "a\x00"), 1), invalid},
		"a type that is not UTF-8":      {usage(ref("\xff", "a"), 1), invalid},
		"a long id":                     {usage(ref("t", strings.Repeat("i", poolkeeper.MaxID+1)), 1), large},
		"a long type":                   {usage(ref(strings.Repeat("t", poolkeeper.MaxType+1), "a"), 1), large},
		"usage of 0":                    {usage(a, 0), invalid},
		"usage below 0":                 {usage(a, -1), invalid},
		"too much usage":                {usage(a, poolkeeper.MaxUsage+1), invalid},
		"a success below 0":             {with(on(poolkeeper.OpSuccess, a), func(op *poolkeeper.Op) { op.N = -1 }), invalid},
		"a time below 0":                {with(usage(a, 1), func(op *poolkeeper.Op) { op.At = -1 }), invalid},
		"a time after the year 9999":    {with(on(poolkeeper.OpError, a), func(op *poolkeeper.Op) { op.RecoverAt = 1 << 60 }), invalid},
		"a threshold below 0":           {with(on(poolkeeper.OpError, a), func(op *poolkeeper.Op) { op.Threshold = -1 }), invalid},
		"a long message":                {with(on(poolkeeper.OpError, a), func(op *poolkeeper.Op) { op.Message = text(big) }), large},
		"a message that is not UTF-8":   {with(on(poolkeeper.OpError, a), func(op *poolkeeper.Op) { op.Message = text("\xff") }), invalid},
		"an unknown refresh phase":      {with(on(poolkeeper.OpRefresh, a), func(op *poolkeeper.Op) { op.Phase = "later" }), invalid},
		"a definition that is no JSON":  {def(`{"uuid":"a"`), invalid},
		"a definition with a tail":      {def(`{"uuid":"a"} x`), invalid},
		"a definition that is an array": {def(`[{"uuid":"a"}]`), invalid},
		"an empty definition":           {def(""), invalid},
		"a definition of another uuid":  {def(`{"uuid":"b"}`), invalid},
		"a definition without a uuid":   {def(`{}`), invalid},
		"a uuid that another hides":     {def(`{"uuid":"a","uuid":"b"}`), invalid},
		"a uuid that is no string":      {def(`{"uuid":["a"]}`), invalid},
		"a definition too large":        {def(`{"uuid":"a","x":"` + big + `"}`), large},
		"nesting too deep":              {def(`{"uuid":"a","x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`), invalid},
		"a patch that is no JSON":       {merge(a, "{"), invalid},
		"a merge patch of an array":     {merge(a, "[]"), invalid},
		"a JSON Patch of an object":     {jsonPatch(merge(a, ""), "{}"), invalid},
		"a patch in no dialect":         {with(merge(a, "{}"), func(op *poolkeeper.Op) { op.Patch = "" }), invalid},
		"rename to nothing":             {rename(a, ""), invalid},
		"rename to a derived id":        {rename(a, "~x"), invalid},
		"rename to itself":              {rename(a, "a"), invalid},
		"rename to a long id":           {rename(a, strings.Repeat("i", poolkeeper.MaxID+1)), large},
		"a pool with an id twice":       {replace("t", record("x", ""), record("x", "")), invalid},
		"a pool with one bad element":   {replace("t", record("x", ""), poolkeeper.ProviderRecord{ID: "y", Definition: []byte("[]")}), invalid},
		"a pool with an empty id":       {replace("t", poolkeeper.ProviderRecord{Definition: []byte("{}")}), invalid},
		"an order with an id twice":     {reorder("t", "a", "b", "a"), invalid},
		"an order without an id":        {reorder("t", "a"), invalid},
		"an order with another id":      {reorder("t", "a", "b", "c"), invalid},
		"types without one":             {reorderTypes("t"), invalid},
		"an expiry of a document":       {with(putValue(poolkeeper.DocumentKey("d"), "{}"), func(op *poolkeeper.Op) { op.ExpiresAt = base }), invalid},
		"a document called config":      {putValue(poolkeeper.DocumentKey("config"), "{}"), invalid},
		"plugins.json by its key":       {putValue(poolkeeper.DocumentKey("plugins"), "{}"), invalid},
		"usage-cache.json by its key":   {putValue(poolkeeper.DocumentKey("usage:cache"), "{}"), invalid},
		"usage-cache.json cut short":    {putValue(poolkeeper.DocumentKey("usage-cache"), "{}"), invalid},
		"a document without a name":     {putValue(poolkeeper.DocumentKey(""), "{}"), invalid},
		"a document with a line end":    {putValue(poolkeeper.DocumentKey("a\nb"), "{}"), invalid},
		"a file outside":                {putValue(poolkeeper.FileKey("configs/../../x"), ""), invalid},
		"an absolute file":              {putValue(poolkeeper.FileKey("/etc/passwd"), ""), invalid},
		"a session that is no hash":     {putValue(poolkeeper.SessionKey("bearer"), "{}"), invalid},
		"an owner that is no ref":       {putValue(poolkeeper.TokenRefKey("p"), `["t"]`), invalid},
		"a patch of the password":       {mergeValue(poolkeeper.PasswordKey, "{}"), invalid},
		"a patch of a file":             {mergeValue(poolkeeper.FileKey("f"), "{}"), invalid},
		"a password too large":          {putValue(poolkeeper.PasswordKey, strings.Repeat("x", poolkeeper.MaxPassword+1)), large},
		"a document too large":          {putValue(poolkeeper.ConfigKey, strings.Repeat(" ", poolkeeper.MaxDocument+1)), large},
	}
}

type badOp struct {
	op   poolkeeper.Op
	want error
}

// richState fills a store with something of everything.
func richState(f *fixture) {
	f.Helper()
	f.do(add(ref("t", "a"), worn), add(ref("t", "b"), ""), add(ref("u", "x"), ""), usage(ref("t", "a"), 1), on(poolkeeper.OpError, ref("t", "b")),
		putValue(poolkeeper.ConfigKey, `{"c":1}`), putValue(poolkeeper.PasswordKey, "secret"), putValue(poolkeeper.TokenKey(ref("t", "a")), `{"t":1}`),
		putValue(poolkeeper.DocumentKey("d"), `{"d":1}`), putValue(poolkeeper.FileKey("f"), "f"), putValue(poolkeeper.TokenRefKey("p"), `["t","a"]`))
}

var refusalCases = []testCase{
	{"a bad op is refused by its error and changes nothing", func(t *testing.T, h Harness) {
		f := start(t, h)
		richState(f)
		before := f.load()
		for name, bad := range badOps() {
			r := f.apply(bad.op)
			wantRefusal(t, name, r, bad.want)
			if len(r.Err.Error()) > 4*poolkeeper.MaxID {
				t.Errorf("%s: an error of %d bytes", name, len(r.Err.Error()))
			}
		}
		after := f.load()
		if d := Diff(before, after); d != "" {
			t.Errorf("refused ops changed the state:\n%s", d)
		}
		for typ, p := range after.Pools {
			if p.Revision != before.Pools[typ].Revision {
				t.Errorf("refused ops moved the revision of pool %q", typ)
			}
		}
	}},
	{"a bad op does not keep the others from being applied", func(t *testing.T, h Harness) {
		f := start(t, h)
		richState(f)
		for name, bad := range badOps() {
			before := f.provider(ref("t", "a")).Count(poolkeeper.UsageCount)
			rs := f.b.Apply(f.ctx, usage(ref("t", "a"), 1), bad.op, usage(ref("t", "a"), 1))
			wantRefusal(t, name, rs[1], bad.want)
			if rs[0].Err != nil || rs[2].Err != nil || rs[2].Count != before+2 {
				t.Errorf("%s: around it, counts %d and %d, errors %v and %v; before %d", name, rs[0].Count, rs[2].Count, rs[0].Err, rs[2].Err, before)
			}
		}
	}},
	{"an error says nothing of what was stored or given", func(t *testing.T, h Harness) {
		f := start(t, h)
		richState(f)
		const secret = "FAKE-secret-content"
		leaky := []poolkeeper.Op{
			given("x", putValue(poolkeeper.PasswordKey, secret)), given("x", putValue(poolkeeper.TokenKey(ref("t", "a")), `{"k":"`+secret+`"}`)),
			mergeValue(poolkeeper.TokenKey(ref("t", "a")), `{"k":"`+secret+`"`), put(ref("t", "a"), `"k":"`+secret+`",`),
			merge(ref("t", "a"), `{"usageCount":"`+secret+`"}`), jsonPatch(merge(ref("t", "a"), ""), `[{"op":"test","path":"/uuid","value":"`+secret+`"}]`),
			putValue(poolkeeper.TokenRefKey("p"), secret), replace("t", record("x", `"k":"`+secret+`" x`)),
		}
		for _, op := range leaky {
			if r := f.apply(op); r.Err == nil || strings.Contains(r.Err.Error(), secret) {
				t.Errorf("%s %s: error %v", op.Kind, op.Subject(), r.Err)
			}
		}
	}},
}

func wantRefusal(t *testing.T, name string, r poolkeeper.Result, want error) {
	t.Helper()
	if r.Err == nil || poolkeeper.ClassOf(r.Err) != poolkeeper.ClassOf(want) {
		t.Fatalf("%s: error %v, want %v", name, r.Err, want)
	}
}
