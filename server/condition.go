package server

import (
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// condition reads what must hold for a write to take effect. A tag that no
// document can have is a condition that cannot hold, and is refused here: the
// words of [poolkeeper.If] must not come in through it.
func (x *exchange) condition() (poolkeeper.If, error) {
	match, none := x.r.Header["If-Match"], x.r.Header["If-None-Match"]
	switch {
	case len(match)+len(none) == 0:
		return poolkeeper.Always, nil
	case len(match)+len(none) > 1:
		return "", poolkeeper.Errorf(poolkeeper.ErrInvalid, "there is more than one If-Match or If-None-Match")
	case len(none) == 1:
		if strings.TrimSpace(none[0]) != "*" {
			return "", poolkeeper.Errorf(poolkeeper.ErrInvalid, "If-None-Match of a write is not *")
		}
		return poolkeeper.IfAbsent, nil
	}
	v := strings.TrimSpace(match[0])
	if v == "*" {
		return poolkeeper.IfPresent, nil
	}
	tag, weak := strings.CutPrefix(v, "W/")
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' || strings.Contains(tag[1:len(tag)-1], `"`) {
		return "", poolkeeper.Errorf(poolkeeper.ErrInvalid, "If-Match is neither * nor one entity tag in quotes").
			WithHint("send the ETag that the read answered, with its quotes")
	}
	switch cond := poolkeeper.If(tag[1 : len(tag)-1]); {
	case weak, cond == poolkeeper.Always, cond == poolkeeper.IfAbsent, cond == poolkeeper.IfPresent:
		return "", poolkeeper.Errorf(poolkeeper.ErrConflict, "the entity tag of If-Match is of no version").
			WithHint("read it again and decide anew")
	default:
		return cond, nil
	}
}

// unmodified reports whether a read need not be answered in full, as the client
// has what the tag names.
func (x *exchange) unmodified(tag string) bool {
	for _, line := range x.r.Header["If-None-Match"] {
		for one := range strings.SplitSeq(line, ",") {
			one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
			if one == "*" || one == `"`+tag+`"` {
				return true
			}
		}
	}
	return false
}
