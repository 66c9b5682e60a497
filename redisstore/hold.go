package redisstore

import (
	"context"
	"strconv"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// holdLife is how long others wait for one who has asked them to. It ends by
// itself, so that nobody waits for one that is gone.
const holdLife = 2 * time.Second

// patience is how often an op on a whole pool is tried before it asks the edits
// that keep coming between to wait.
const patience = 3

// errHeld says that an op waits, as a pool is about to be changed whole.
var errHeld = poolkeeper.Errorf(poolkeeper.ErrConflict, "the pool is being changed whole").WithHint("try it again")

// A poolChange is an op on a whole pool on its way. Reading a pool, staging it
// and swapping it takes longer than an edit of one provider, so that a steady
// row of those would get in between for ever.
type poolChange struct {
	*Store
	key   string
	tries int
	who   string // that asked the others to wait; empty where none did
}

// try is one attempt, see retry.
func (c *poolChange) try(ctx context.Context, op *poolkeeper.Op) (poolkeeper.Result, bool) {
	if c.tries++; c.tries > patience {
		if c.who == "" {
			c.who = c.newRun()
		}
		switch answer, err := c.hold(ctx, holdLife); {
		case err != nil:
			return refuse(err)
		case answer != "OK":
			return poolkeeper.Result{Err: errHeld}, false
		}
	}
	return c.changePool(ctx, op, c.who)
}

// done lets the others go on; one that is not reached goes on by itself.
func (c *poolChange) done() {
	if c.who == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.opts.CommandTimeout)
	defer cancel()
	c.hold(ctx, 0)
}

func (c *poolChange) hold(ctx context.Context, life time.Duration) (string, error) {
	epoch, err := c.ready(ctx)
	if err != nil {
		return "", err
	}
	answer, err := holdScript.run(ctx, c.client, []string{c.ctl(c.key)}, []string{epoch, c.who, strconv.FormatInt(life.Milliseconds(), 10)})
	return answer, readError(err)
}
