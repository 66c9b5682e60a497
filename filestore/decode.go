package filestore

import (
	"bytes"
	"encoding/json"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
)

func decodeCommon(image *memstore.Image, data []byte) (err error) {
	var c common
	if err := json.Unmarshal(data, &c); err != nil {
		return err
	}
	image.Meta, image.Types, image.SweepAt, image.Counted.From = c.Meta, c.Types, c.SweepAt, c.CountedFrom
	for _, a := range c.Aliases {
		image.Renamed[a.Ref] = memstore.Alias{ID: a.To, Ends: a.Ends}
	}
	for _, r := range c.Revisions {
		if image.Revisions[r.Key], err = poolkeeper.ParseRevision(r.Revision); err != nil {
			return err
		}
	}
	for typ, text := range c.Structures {
		if image.Structures[typ], err = poolkeeper.ParseRevision(text); err != nil {
			return err
		}
	}
	return nil
}

func decodeLines(image *memstore.Image, data []byte) error {
	for text := range bytes.Lines(data) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return err
		}
		op, err := poolkeeper.DecodeOp(l.Op)
		if err != nil {
			return err
		}
		rev, err := poolkeeper.ParseRevision(l.Revision)
		if err != nil {
			return err
		}
		if op.Kind != poolkeeper.OpReplacePool {
			if op.Data == nil {
				op.Data = []byte{}
			}
			image.Values[op.Key] = poolkeeper.Document{Data: op.Data, Revision: rev, ExpiresAt: op.ExpiresAt}
			if _, ok := image.Revisions[op.Key]; !ok && op.Key.Kind != poolkeeper.KindFile && op.Key.Kind != poolkeeper.KindTokenRefs {
				image.Revisions[op.Key] = rev
			}
			continue
		}
		p := &poolkeeper.Pool{Type: op.Key.Type, Revision: rev, Structure: image.Structures[op.Key.Type]}
		for _, r := range op.Providers {
			one := poolkeeper.Provider{Ref: poolkeeper.Ref{Type: op.Key.Type, ID: r.ID}, Definition: r.Definition}
			if r.State != nil {
				one.State = *r.State
			}
			p.Providers = append(p.Providers, one)
		}
		image.Pools[p.Type] = p
	}
	return nil
}
