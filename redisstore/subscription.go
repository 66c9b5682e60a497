package redisstore

import (
	"context"
	"sync/atomic"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/feed"
	"github.com/redis/rueidis"
)

// A subscription is one connection on which changes are heard. It is never
// made again behind its reader's back: whatever ends it ends the queue, after
// what was heard before.
type subscription struct {
	conn  rueidis.DedicatedClient
	heard atomic.Uint64 // messages
}

// subscribe opens a connection of its own to the node of a client.
func subscribe(ctx context.Context, client rueidis.Client, queue *feed.Queue[string]) (*subscription, error) {
	got := make(chan rueidis.DedicatedClient, 1)
	go func() { // as connecting does not know the context
		conn, _ := client.Dedicate()
		got <- conn
	}()
	sub := &subscription{}
	select {
	case sub.conn = <-got:
	case <-ctx.Done():
		go func() { (<-got).Close() }()
		return nil, ctx.Err()
	}
	gone := sub.conn.SetPubSubHooks(rueidis.PubSubHooks{
		OnMessage: func(m rueidis.PubSubMessage) {
			sub.heard.Add(1)
			queue.Put(m.Message, len(m.Message))
		},
		OnSubscription: func(c rueidis.PubSubSubscription) {
			switch c.Kind {
			case "unsubscribe", "sunsubscribe": // the slot has moved to another node
				queue.End(errEnded)
			}
		},
	})
	go func() {
		if err := <-gone; err != nil { // nil where it was closed here
			queue.End(poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the connection that changes are heard on was lost: %v", netReason(err)))
		}
		queue.End(errEnded)
	}()
	return sub, nil
}

var errEnded = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "Redis has ended the subscription to changes")

// alive makes sure that the connection still reaches the server, and returns
// what the server says of itself. A server that is busy with sending what was
// published is alive.
func (sub *subscription) alive(ctx, limit context.Context) (string, error) {
	before := sub.heard.Load()
	text, err := sub.conn.Do(limit, sub.conn.B().Info().Section("server").Build()).ToString()
	if _, answered := rueidis.IsRedisErr(err); err == nil || answered || ctx.Err() != nil || sub.heard.Load() != before {
		return text, nil
	}
	return "", poolkeeper.Errorf(poolkeeper.ErrUnavailable, "Redis does not answer on the connection that changes are heard on: %v", netReason(err))
}

// close ends the connection. It does not wait for a server that is silent.
func (sub *subscription) close() { go sub.conn.Close() }
