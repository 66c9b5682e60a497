package transfer

import (
	"math"
	"slices"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/configdir"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// planProvider plans a provider that both have, and reports whether its record
// must be put.
func (im *importer) planProvider(plan *poolPlan, given, old *poolkeeper.Provider, record *poolkeeper.ProviderRecord) bool {
	key := poolkeeper.ProviderKey(given.Ref)
	where, differs := configdir.DiffDefinitions(given.Definition, old.Definition)
	why := ""
	if differs {
		if why = "definition"; where != "" {
			why += ", at " + where
		}
	}
	fields := configdir.DiffRuntime(given, old)
	if im.opts.Force {
		if len(fields) > 0 {
			why = joined(why, "runtime state: "+fieldNames(fields))
		}
		if why == "" {
			plan.unchanged++
			return false
		}
		record.State = &poolkeeper.State{}
		plan.changed = append(plan.changed, changeOf(key, "", why))
		return true
	}
	ops, counted := im.catchUp(given, old)
	if counted {
		plan.usage = append(plan.usage, ops...)
		why = joined(why, "usageCount")
		fields = slices.DeleteFunc(fields, func(f poolkeeper.Field) bool {
			return f == poolkeeper.UsageCount || f == poolkeeper.LastUsed && given.Literal(f) > old.Literal(f)
		})
	}
	if why == "" {
		plan.unchanged++
	} else {
		plan.changed = append(plan.changed, changeOf(key, "", why))
	}
	if len(fields) > 0 {
		// Content is compared at the end all the same, so its key is not kept.
		plan.kept = append(plan.kept, changeOf(key, "", "the stored runtime state stays: "+fieldNames(fields)))
	}
	return differs
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// latest is the last time that an op can have.
const latest = 253402300799999

// maxCatchUp bounds the ops by which one counter catches up.
const maxCatchUp = 10_000

// catchUp returns the ops that add what a stored usageCount is behind that of
// the directory. lastUsed moves to that of the directory where it is later.
func (im *importer) catchUp(given, old *poolkeeper.Provider) ([]poolkeeper.Op, bool) {
	to, from := given.Count(poolkeeper.UsageCount), old.Count(poolkeeper.UsageCount)
	if to <= from {
		return nil, false
	}
	// The stored count may be below 0, and the difference above MaxInt64.
	behind := uint64(to) - uint64(from)
	if behind > math.MaxInt64 || behind/poolkeeper.MaxUsage >= maxCatchUp {
		return nil, false
	}
	at := im.now
	for _, p := range []*poolkeeper.Provider{old, given} {
		if ms, ok := rawjson.ParseTimeMillis([]byte(p.Literal(poolkeeper.LastUsed))); ok && ms > 0 && ms <= latest {
			at = ms
		}
	}
	var ops []poolkeeper.Op
	for left := int64(behind); left > 0; left -= poolkeeper.MaxUsage {
		ops = append(ops, poolkeeper.Op{
			Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey(given.Type), ID: given.ID, N: min(left, poolkeeper.MaxUsage), At: at,
		})
	}
	return ops, true
}
