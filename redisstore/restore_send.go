package redisstore

// send sends the queued commands and does not wait for the answers: while Redis
// works, the next ones are made. Nothing else may be on its way.
func (r *restore) send() {
	if len(r.cmds) == 0 {
		return
	}
	cmds, sent := r.cmds, make(chan error, 1)
	r.cmds, r.bytes, r.sent = nil, 0, sent
	go func() {
		var first error
		for _, res := range r.client.DoMulti(r.ctx, cmds...) {
			if err := res.Error(); err != nil && first == nil {
				first = readError(err)
			}
		}
		sent <- first
	}()
}

// wait returns once nothing is on its way any more.
func (r *restore) wait() error {
	if r.sent == nil {
		return nil
	}
	err := <-r.sent
	r.sent = nil
	return err
}
