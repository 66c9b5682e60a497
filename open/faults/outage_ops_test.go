package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/poolkeeper/poolkeeper"
)

// The ops of the long outage are numbered. Op n is of the group n % groups, whose
// ops have an order: one caller makes them, one after the other. A group is a
// provider with its token and a document; the configuration is shared.

// A change is what one op of a group does, to the store and to what is expected.
type change struct {
	what string
	do   func(ctx context.Context, st *poolkeeper.Store) (poolkeeper.Result, error)
	// expect does it to what is expected, and says what is set aside for it.
	expect func(g *group)
}

func groupRef(g int) poolkeeper.Ref {
	return poolkeeper.Ref{Type: fmt.Sprint("outage", g%20), ID: fmt.Sprint("g", g)}
}

func groupDocument(g int) string { return fmt.Sprintf("d%d.json", g) }

func firstToken(g int) string {
	return fmt.Sprintf(`{"refreshToken":"t%d","kept":12345678901234567890}`, g)
}

// A group is what is expected of one.
type group struct {
	gone     bool  // somebody has deleted its provider
	usage    int64 // of the provider
	fields   map[string]string
	message  string // of the last error
	cleared  bool   // a later decision of somebody else counts
	document map[string]string
	putLater bool   // somebody else has put the document after all that is queued
	config   string // its field there
	token    string // the refresh token
	added    map[string]int64
	aside    []string
}

func (g *group) clone() *group {
	c := *g
	c.fields, c.document, c.added = copied(g.fields), copied(g.document), copied(g.added)
	c.aside = append([]string(nil), g.aside...)
	return &c
}

func copied[V any](m map[string]V) map[string]V {
	c := make(map[string]V, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

func (g *group) setAside(kind poolkeeper.OpKind, reason, of string) {
	g.aside = append(g.aside, fmt.Sprintf("%s %s %s", kind, reason, of))
}

// onProvider does something to the provider, or sets it aside.
func (g *group) onProvider(kind poolkeeper.OpKind, ref poolkeeper.Ref, do func()) {
	if g.gone {
		g.setAside(kind, "not-found", ref.String())
		return
	}
	do()
}

// kindsOfChange is how many kinds there are: a round has one of them.
const kindsOfChange = 10

// changeOf is op n.
func changeOf(n, groups int) change {
	i, round := n%groups, n/groups
	ref, doc, none := groupRef(i), groupDocument(i), int64(0)
	extra := poolkeeper.Ref{Type: ref.Type, ID: fmt.Sprintf("x%d-%d", i, round/kindsOfChange)}
	number := fmt.Sprint(n)
	switch round % kindsOfChange {
	case 0:
		add := int64(n%7 + 1)
		return change{"increment", func(ctx context.Context, st *poolkeeper.Store) (poolkeeper.Result, error) {
			return st.Usage(ctx, ref, add)
		}, func(g *group) { g.onProvider(poolkeeper.OpUsage, ref, func() { g.usage += add }) }}
	case 1:
		return change{"edit", func(ctx context.Context, st *poolkeeper.Store) (poolkeeper.Result, error) {
			return st.PatchProvider(ctx, ref, poolkeeper.MergePatch, fmt.Appendf(nil, `{"last":%d,"r%d":%d}`, n, round, n), poolkeeper.Always)
		}, func(g *group) {
			g.onProvider(poolkeeper.OpPatchProvider, ref, func() { g.fields["last"], g.fields[fmt.Sprint("r", round)] = number, number })
		}}
	case 2:
		return change{"document", func(ctx context.Context, st *poolkeeper.Store) (poolkeeper.Result, error) {
			return st.PutDocument(ctx, doc, fmt.Appendf(nil, `{"n":%d}`, n), poolkeeper.Always)
		}, func(g *group) {
			if g.putLater {
				g.setAside(poolkeeper.OpPut, "conflict", poolkeeper.DocumentKey(doc).String())
				return
			}
			g.document = map[string]string{"n": number}
		}}
	case 3:
		return change{"decision", func(ctx context.Context, st *poolkeeper.Store) (poolkeeper.Result, error) {
			return st.Error(ctx, ref, poolkeeper.Failure{Message: "e" + number, Threshold: &none})
		}, func(g *group) { g.onProvider(poolkeeper.OpError, ref, func() { g.message = "e" + number }) }}
	case 4:
		return change{"add", func(ctx context.Context, st *poolkeeper.Store) (poolkeeper.Result, error) {
			return st.AddProvider(ctx, ref.Type, fmt.Appendf(nil, `{"uuid":%q,"n":%d}`, extra.ID, n))
		}, func(g *group) {
			if _, there := g.added[extra.ID]; there {
				g.setAside(poolkeeper.OpAddProvider, "exists", extra.String())
				return
			}
			g.added[extra.ID] = 0
		}}
	case 5:
		return change{"increment of an added one", func(ctx context.Context, st *poolkeeper.Store) (poolkeeper.Result, error) {
			return st.Usage(ctx, extra, 3)
		}, func(g *group) {
			if _, there := g.added[extra.ID]; !there {
				g.setAside(poolkeeper.OpUsage, "not-found", extra.String())
				return
			}
			g.added[extra.ID] += 3
		}}
	case 6:
		return change{"patch of a document", func(ctx context.Context, st *poolkeeper.Store) (poolkeeper.Result, error) {
			return st.PatchDocument(ctx, doc, poolkeeper.MergePatch, fmt.Appendf(nil, `{"m":%d}`, n), poolkeeper.Always)
		}, func(g *group) {
			g.document["m"] = number
		}}
	case 7:
		before, _ := poolkeeper.RefreshTokenHash([]byte(tokenBefore(n, groups)))
		return change{"token", func(ctx context.Context, st *poolkeeper.Store) (poolkeeper.Result, error) {
			res := st.Apply(ctx, poolkeeper.Op{Kind: poolkeeper.OpPatch, Key: poolkeeper.TokenKey(ref), Patch: poolkeeper.MergePatch,
				Data: fmt.Appendf(nil, `{"refreshToken":"t%d"}`, n), From: before})[0]
			return res, res.Err
		}, func(g *group) {
			was, _ := poolkeeper.RefreshTokenHash(fmt.Appendf(nil, `{"refreshToken":%q}`, g.token))
			if was != before {
				g.setAside(poolkeeper.OpPatch, "conflict", poolkeeper.TokenKey(ref).String())
				return
			}
			g.token = "t" + number
		}}
	case 8:
		return change{"delete of an added one", func(ctx context.Context, st *poolkeeper.Store) (poolkeeper.Result, error) {
			if round/kindsOfChange%2 == 0 {
				return st.Usage(ctx, extra, 5)
			}
			return st.DeleteProvider(ctx, extra, poolkeeper.Always)
		}, func(g *group) {
			_, there := g.added[extra.ID]
			switch {
			case round/kindsOfChange%2 == 0 && !there:
				g.setAside(poolkeeper.OpUsage, "not-found", extra.String())
			case round/kindsOfChange%2 == 0:
				g.added[extra.ID] += 5
			default: // one that is not there is as it was to be
				delete(g.added, extra.ID)
			}
		}}
	}
	return change{"configuration", func(ctx context.Context, st *poolkeeper.Store) (poolkeeper.Result, error) {
		return st.PatchConfig(ctx, poolkeeper.MergePatch, fmt.Appendf(nil, `{"g%d":%d}`, i, n), poolkeeper.Always)
	}, func(g *group) { g.config = number }}
}

// tokenBefore is the token that the result of op n was derived from.
func tokenBefore(n, groups int) string {
	if n -= kindsOfChange * groups; n >= 0 {
		return fmt.Sprintf(`{"refreshToken":"t%d"}`, n)
	}
	return firstToken(n%groups + groups*btoi(n%groups < 0))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// outage makes the ops from From to To that were not begun yet.
func (s *spec) outage(ctx context.Context, st *poolkeeper.Store, log told, begun []bool) {
	var wg sync.WaitGroup
	for c := range s.Callers {
		wg.Go(func() {
			for n := s.From; n < s.To && ctx.Err() == nil; n++ {
				if n%s.Groups%s.Callers != c || begun[n] {
					continue
				}
				op := changeOf(n, s.Groups)
				log.line("j %d", n)
				res, err := op.do(context.Background(), st)
				switch {
				case err != nil:
					log.line("x op %d, %s: %v", n, op.what, err)
				case res.Status != poolkeeper.Queued:
					log.line("x op %d, %s, was acknowledged as %s", n, op.what, res.Status)
				default:
					log.line("k %d", n)
				}
			}
		})
	}
	wg.Wait()
	if s.From < s.To {
		log.line("d")
	}
	<-ctx.Done()
}

// fieldsOf decodes the fields of a document, each as its literal.
func fieldsOf(text string) (map[string]string, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, err
	}
	fields := make(map[string]string, len(raw))
	for name, value := range raw {
		fields[name] = string(value)
	}
	return fields, nil
}
