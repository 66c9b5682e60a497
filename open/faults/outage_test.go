package faults_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// TestFaultsLongOutage: ops of all kinds while Redis is gone, by an instance that is
// killed in the middle, and in the replay; another one edits before that. All of it
// is there once, in order, or listed as the rules have it.
func TestFaultsLongOutage(t *testing.T) {
	groups, ops := 500, 50_000
	if bounded() {
		groups, ops = 100, 4_000
	}
	srv := redistest.Start(t, redistest.WithAOF("always"))
	st := fillGroups(t, srv.SocketURL(), groups)
	in := newInstance(t, 0, srv.Socket(), spec{Callers: 50, Groups: groups})
	life := func(from, to int, until_ func() bool) {
		t.Helper()
		in.spec.From, in.spec.To = from, to
		in.start()
		until(t, "a part of the outage", func() bool {
			in.alive()
			in.read()
			return until_()
		})
		in.kill()
	}
	// The first process has seen the store; those after it have its snapshot.
	in.start()
	in.opened()
	until(t, "it is online", func() bool { return in.read().lastMode() == "online" })
	time.Sleep(50 * time.Millisecond)
	in.kill()
	srv.Stop()
	began := time.Now()
	life(0, ops, func() bool { return len(in.rec.acked) > ops/3 })
	life(0, ops, func() bool { return len(in.rec.acked) > ops*2/3 })
	life(0, ops, func() bool { return in.rec.done > 0 })
	t.Logf("%d ops were queued by three processes in %v", len(in.rec.acked), time.Since(began).Round(time.Millisecond))

	// Redis is back, but not to this instance: what others do meanwhile.
	in.proxy.Down()
	srv.Restart()
	changed := elsewhere(t, st, groups)
	in.proxy.Up()
	began = time.Now()
	seen := func() int64 { return srv.DoInt("DBSIZE") }
	start := seen()
	for _, part := range []int64{8, 3} { // killed in the middle of the replay, twice
		life(0, 0, func() bool { return seen() > start+int64(groups)/part })
	}
	in.spec.From, in.spec.To = 0, 0
	in.start()
	in.opened()
	left := in.rec.lastWaited()
	in.end()
	t.Logf("the replay took %v with two restarts; the last process brought %d ops", time.Since(began).Round(time.Millisecond), left)
	if err := in.rec.close(); err != nil {
		t.Fatal(err)
	}
	for _, text := range in.rec.wrong[:min(len(in.rec.wrong), 10)] {
		t.Error(text)
	}
	w := &wanted{T: t, srv: srv, rec: in.rec, groups: groups, changed: changed, aside: map[int][]string{}}
	w.check()
}

// fillGroups makes the store of the long outage.
func fillGroups(t *testing.T, url string, groups int) *poolkeeper.Store {
	t.Helper()
	st := direct(t, url)
	snap := poolkeeper.NewSnapshot()
	pools := map[string]*poolkeeper.Pool{}
	for i := range groups {
		ref := groupRef(i)
		if pools[ref.Type] == nil {
			pools[ref.Type] = &poolkeeper.Pool{Type: ref.Type}
			snap.AddPool(pools[ref.Type])
		}
		pools[ref.Type].Providers = append(pools[ref.Type].Providers, poolkeeper.Provider{Ref: ref, Definition: fmt.Appendf(nil, `{"uuid":%q,"big":12345678901234567890}`, ref.ID)})
		snap.Values[poolkeeper.TokenKey(ref)] = poolkeeper.Document{Data: []byte(firstToken(i))}
	}
	snap.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte(`{"big":12345678901234567890}`)}
	if err := st.Restore(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	return st
}

// elsewhere does to groups what others do during the outage, and returns what is
// expected of each before anything is replayed.
func elsewhere(t *testing.T, st *poolkeeper.Store, groups int) []*group {
	t.Helper()
	all := make([]*group, groups)
	ctx := t.Context()
	for i := range all {
		g := &group{fields: map[string]string{"big": "12345678901234567890"}, document: map[string]string{}, added: map[string]int64{}, token: fmt.Sprint("t", i)}
		all[i] = g
		ref := groupRef(i)
		var err error
		switch i % 10 {
		case 1:
			_, err = st.RenameProvider(ctx, ref, ref.ID+"-renamed", poolkeeper.Always)
		case 2:
			_, err = st.PatchProvider(ctx, ref, poolkeeper.MergePatch, []byte(`{"last":-1,"other":1}`), poolkeeper.Always)
			g.fields["last"], g.fields["other"] = "-1", "1"
		case 3:
			_, err = st.DeleteProvider(ctx, ref, poolkeeper.Always)
			g.gone = true
		case 4:
			_, err = st.PutToken(ctx, ref, []byte(`{"refreshToken":"other","kept":12345678901234567890}`), poolkeeper.Always)
			g.token = "other"
		case 5:
			_, err = st.Usage(ctx, ref, 1_000_000)
			g.usage = 1_000_000
		case 6:
			_, err = st.AddProvider(ctx, ref.Type, fmt.Appendf(nil, `{"uuid":"x%d-0","other":1}`, i))
			g.added[fmt.Sprintf("x%d-0", i)] = 0
		case 7:
			_, err = st.PutDocument(ctx, groupDocument(i), []byte(`{"other":1}`), poolkeeper.Always)
			g.document["other"], g.putLater = "1", true
		case 8:
			_, err = st.Success(ctx, ref, 0, "")
			g.cleared = true
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// wanted compares what is stored with what is expected.
type wanted struct {
	*testing.T
	srv     *redistest.Server
	rec     *record
	groups  int
	changed []*group
	aside   map[int][]string
}

func (w *wanted) check() {
	w.Helper()
	for _, text := range w.rec.aside {
		kind, rest, _ := strings.Cut(text, " ")
		reason, of, _ := strings.Cut(rest, " ")
		i, err := groupOf(of)
		if err != nil {
			w.Errorf("set aside: %s", text)
			continue
		}
		w.aside[i] = append(w.aside[i], fmt.Sprintf("%s %s %s", kind, reason, of))
	}
	config, err := fieldsOf(w.srv.DoString("GET", "faults:config"))
	if err != nil || config["big"] != "12345678901234567890" {
		w.Errorf("the configuration: %v, %v", config, err)
	}
	begun, kinds := 0, map[string]bool{}
	for _, g := range w.changed {
		g.config = config["none"]
	}
	for i, g := range w.changed {
		could := []*group{g}
		for n := i; n < len(w.rec.asked); n += w.groups {
			if !w.rec.asked[n] {
				continue
			}
			begun++
			op := changeOf(n, w.groups)
			kinds[op.what] = true
			var next []*group
			for _, c := range could {
				if !w.rec.acked[n] {
					next = append(next, c.clone())
				}
				op.expect(c)
				next = append(next, c)
			}
			could = next
		}
		var differences []string
		if !slices.ContainsFunc(could, func(c *group) bool {
			d := w.differences(i, c, config)
			differences = append(differences, d...)
			return len(d) == 0
		}) {
			w.Errorf("group %d, of %d that could be: %q", i, len(could), differences)
		}
	}
	total := 0
	reasons := map[string]int{}
	for _, list := range w.aside {
		total += len(list)
		for _, text := range list {
			f := strings.Fields(text)
			reasons[f[0]+" "+f[1]]++
		}
	}
	w.Logf("%d ops of %d kinds; set aside by the rules: %v", begun, len(kinds), reasons)
	if len(kinds) != kindsOfChange || total == 0 || len(reasons) < 5 {
		w.Errorf("%d ops of the kinds %v; set aside %v", begun, slices.Sorted(maps.Keys(kinds)), reasons)
	}
}

// groupOf is the group that a subject names.
func groupOf(of string) (int, error) {
	if name, ok := strings.CutPrefix(of, "document d"); ok {
		return strconv.Atoi(strings.TrimSuffix(name, ".json"))
	}
	_, id, _ := strings.Cut(of, "outage")
	_, id, _ = strings.Cut(id, " ")
	id, _, _ = strings.Cut(strings.TrimLeft(id, "gx"), "-")
	return strconv.Atoi(id)
}

// differences are those of what is stored of a group from what is expected.
func (w *wanted) differences(i int, g *group, config map[string]string) (all []string) {
	w.Helper()
	differs := func(what string, got, want any) {
		if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
			all = append(all, fmt.Sprintf("%s is %s, want %s", what, g, w))
		}
	}
	ref := groupRef(i)
	id := ref.ID
	if i%10 == 1 {
		id += "-renamed"
	}
	pool := "faults:pools:" + ref.Type
	state := func(id, field string) string { return w.srv.DoString("HGET", "faults:state:{"+pool+"}", id+":"+field) }
	definition := w.srv.DoString("HGET", pool, id)
	switch {
	case g.gone:
		differs("the definition", definition, "")
	default:
		fields, err := fieldsOf(definition)
		delete(fields, "uuid")
		differs("the definition", fields, g.fields)
		differs("its error", err, error(nil))
		differs("usageCount", "0"+state(id, "usageCount"), "0"+strings.TrimPrefix(fmt.Sprint(g.usage), "0"))
		message := "null"
		if g.message != "" && !g.cleared {
			message = strconv.Quote(g.message)
		}
		if got := state(id, "lastErrorMessage"); got != "" || message != "null" {
			differs("lastErrorMessage", got, message)
		}
	}
	document := w.srv.DoString("GET", "faults:doc:"+groupDocument(i))
	if len(g.document) == 0 {
		differs("the document", document, "")
	} else if fields, err := fieldsOf(document); true {
		differs("the document", fields, g.document)
		differs("its error", err, error(nil))
	}
	token, err := fieldsOf(w.srv.DoString("GET", "faults:tokens:"+ref.Type+":"+id))
	differs("the error of the token", err, error(nil))
	differs("the token", token, map[string]string{"refreshToken": strconv.Quote(g.token), "kept": "12345678901234567890"})
	differs("the field of the configuration", config[fmt.Sprint("g", i)], g.config)
	for round := range len(w.rec.asked) / w.groups / kindsOfChange {
		extra := fmt.Sprintf("x%d-%d", i, round)
		n, there := g.added[extra]
		differs(extra+" is there", w.srv.DoString("HGET", pool, extra) != "", there)
		if there {
			differs("usageCount of "+extra, "0"+state(extra, "usageCount"), "0"+strings.TrimPrefix(fmt.Sprint(n), "0"))
		}
	}
	got, want := slices.Clone(w.aside[i]), slices.Clone(g.aside)
	slices.Sort(got)
	slices.Sort(want)
	differs("set aside", got, want)
	return all
}
