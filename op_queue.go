package poolkeeper

// Queueable returns nil for an op that can be acknowledged while the store is
// away, as whatever it meets later has a rule, and else why not:
// [ErrUnavailable].
//
//	runtime state               every kind
//	provider                    add, put, patch and delete, without a condition
//	config, documents, sessions put, patch and delete, without a condition
//	token                       the result of a refresh ([Op.From]), which has a
//	                            condition of its own
//
// A condition, a rename, a change of a whole pool or of the order of things, the
// password, other changes of tokens, and files are decided by what the store has
// at that moment.
func (op *Op) Queueable() error {
	if op.If != Always {
		return cannotQueue("it depends on what the store has now (a condition)")
	}
	switch op.Kind {
	case OpUsage, OpError, OpSuccess, OpHealth, OpRefresh, OpReset,
		OpAddProvider, OpPutProvider, OpPatchProvider, OpDeleteProvider:
		return nil
	case OpPut, OpPatch, OpDelete:
		if op.From != "" {
			return nil
		}
		switch op.Key.Kind {
		case KindConfig, KindDocument, KindSession:
			return nil
		}
		return cannotQueue("a " + string(op.Key.Kind) + " is changed only on top of what the store has now")
	}
	return cannotQueue("it is decided by what the store has now")
}

func cannotQueue(why string) error {
	return Errorf(ErrUnavailable, "the store is away, and the op cannot wait for it: %s", why).
		WithHint("try it again when the store is back")
}
