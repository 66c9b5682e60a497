package poolkeeper

import "context"

// Watch tells of the changes to the store as they are made, by whatever
// instance, see [Watcher]. ErrInvalid where the backend cannot tell.
func (s *Store) Watch(ctx context.Context, fn func(Change)) error {
	w, ok := s.b.(Watcher)
	if !ok {
		return &Error{Action: "watch", Detail: "the backend cannot tell of changes", Err: ErrInvalid}
	}
	return Annotate(w.Watch(ctx, fn), "watch", "store")
}
