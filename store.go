package poolkeeper

import (
	"context"
	"errors"
	"slices"
	"time"
)

// A Store is what a gateway calls: typed methods over a [Backend]. All of them
// may be called from any number of goroutines. Errors name what was done to
// what, and are of the closed set in this package. Bytes that are given to one
// must not be changed afterwards, also where it returned an error.
type Store struct {
	b   Backend
	now func() time.Time
}

// Options of a Store. A nil *Options means all defaults.
type Options struct {
	// Now is the clock; time.Now where nil.
	Now func() time.Time
}

// New returns a Store over a backend, which it then owns.
func New(b Backend, opts *Options) *Store {
	s := &Store{b: b, now: time.Now}
	if opts != nil && opts.Now != nil {
		s.now = opts.Now
	}
	return s
}

// Backend returns the backend of the store.
func (s *Store) Backend() Backend { return s.b }

// Close closes the backend.
func (s *Store) Close() error { return s.b.Close() }

// Info describes the store, without secrets. A store that is ready serves.
func (s *Store) Info(ctx context.Context) (Info, error) {
	info, err := s.b.Info(ctx)
	info.Serving = info.Serving || info.Ready
	return info, err
}

// Snapshot reads everything. Each pool and document is whole; there is no
// atomicity across them.
func (s *Store) Snapshot(ctx context.Context) (*Snapshot, error) { return s.b.Load(ctx) }

// Restore puts a snapshot into an uninitialised store, see [Backend].
func (s *Store) Restore(ctx context.Context, snap *Snapshot) error { return s.b.Restore(ctx, snap) }

// Apply applies ops, see [Backend]. Ops without a time get the present one.
func (s *Store) Apply(ctx context.Context, ops ...Op) []Result {
	at := s.now().UnixMilli()
	ops = slices.Clone(ops) // which the caller may use again
	for i := range ops {
		if ops[i].At == 0 {
			ops[i].At = at
		}
	}
	return s.b.Apply(ctx, ops...)
}

func (s *Store) apply(ctx context.Context, op Op) (Result, error) {
	if op.At == 0 {
		op.At = s.now().UnixMilli()
	}
	r := s.b.Apply(ctx, op)[0]
	if r.Err != nil {
		return r, Annotate(r.Err, string(op.Kind), op.Subject())
	}
	return r, nil
}

// value reads the value under one key.
func (s *Store) value(ctx context.Context, key Key) (Document, error) {
	snap, err := s.b.Load(ctx, key)
	if err != nil {
		return Document{}, Annotate(err, "read", key.String())
	}
	d, ok := snap.Values[key]
	if !ok {
		return Document{}, &Error{Action: "read", Key: key.String(), Err: ErrNotFound}
	}
	return d, nil
}

// Config returns the service configuration.
func (s *Store) Config(ctx context.Context) (Document, error) { return s.value(ctx, ConfigKey) }

// PutConfig replaces the configuration, which must be a JSON object.
func (s *Store) PutConfig(ctx context.Context, data []byte, cond If) (Result, error) {
	return s.putObject(ctx, ConfigKey, data, cond)
}

// PatchConfig changes the fields of the configuration that the patch names.
func (s *Store) PatchConfig(ctx context.Context, kind PatchKind, patch []byte, cond If) (Result, error) {
	return s.apply(ctx, Op{Kind: OpPatch, Key: ConfigKey, Patch: kind, Data: patch, If: cond})
}

func (s *Store) putObject(ctx context.Context, key Key, data []byte, cond If) (Result, error) {
	if err := ValidateObject(data, string(key.Kind)); err != nil {
		return Result{}, Annotate(err, "put", key.String())
	}
	return s.apply(ctx, Op{Kind: OpPut, Key: key, Data: data, If: cond})
}

// Documents returns the documents other than the configuration, by name.
func (s *Store) Documents(ctx context.Context) (map[string]Document, error) {
	snap, err := s.b.Load(ctx, Key{Kind: KindDocument})
	if err != nil {
		return nil, Annotate(err, "list", "documents")
	}
	docs := make(map[string]Document, len(snap.Values))
	for k, d := range snap.Values {
		docs[k.Name] = d
	}
	return docs, nil
}

// Document returns a document by its name.
func (s *Store) Document(ctx context.Context, name string) (Document, error) {
	if err := ValidateDocumentName(name); err != nil {
		return Document{}, Annotate(err, "read", "document")
	}
	d, err := s.value(ctx, DocumentKey(name))
	return d, hintDocument(err)
}

// hintDocument tells those who do not find a document how documents are called.
func hintDocument(err error) error {
	var e *Error
	if errors.As(err, &e) && errors.Is(err, ErrNotFound) && e.Hint == "" {
		return e.WithHint("a document has the name of its file, such as plugins.json; list the documents to see them")
	}
	return err
}

// PutDocument replaces or adds a document, which must be valid JSON.
func (s *Store) PutDocument(ctx context.Context, name string, data []byte, cond If) (Result, error) {
	key := DocumentKey(name)
	if err := validateJSON(data, "document"); err != nil {
		return Result{}, Annotate(err, "put", key.String())
	}
	return s.apply(ctx, Op{Kind: OpPut, Key: key, Data: data, If: cond})
}

// PatchDocument changes the fields of a document that the patch names.
func (s *Store) PatchDocument(ctx context.Context, name string, kind PatchKind, patch []byte, cond If) (Result, error) {
	res, err := s.apply(ctx, Op{Kind: OpPatch, Key: DocumentKey(name), Patch: kind, Data: patch, If: cond})
	return res, hintDocument(err)
}

// DeleteDocument removes a document.
func (s *Store) DeleteDocument(ctx context.Context, name string, cond If) (Result, error) {
	res, err := s.apply(ctx, Op{Kind: OpDelete, Key: DocumentKey(name), If: cond})
	return res, hintDocument(err)
}

// File returns a carried file by its path relative to the parent of configs/.
func (s *Store) File(ctx context.Context, path string) (Document, error) {
	if err := ValidatePath(path); err != nil {
		return Document{}, Annotate(err, "read", "file")
	}
	return s.value(ctx, FileKey(path))
}

// PutFile replaces or adds a carried file: any bytes up to [MaxFile].
func (s *Store) PutFile(ctx context.Context, path string, data []byte, cond If) (Result, error) {
	return s.apply(ctx, Op{Kind: OpPut, Key: FileKey(path), Data: data, If: cond})
}

// DeleteFile removes a carried file.
func (s *Store) DeleteFile(ctx context.Context, path string, cond If) (Result, error) {
	return s.apply(ctx, Op{Kind: OpDelete, Key: FileKey(path), If: cond})
}

// Meta returns the facts about the store: schema, epoch, where it came from.
func (s *Store) Meta(ctx context.Context) (map[string]string, error) {
	snap, err := s.b.Load(ctx, MetaKey)
	if err != nil {
		return nil, Annotate(err, "read", "meta")
	}
	return snap.Meta, nil
}

// Types returns the types in their order, those with empty pools included.
func (s *Store) Types(ctx context.Context) ([]string, error) {
	snap, err := s.b.Load(ctx, TypesKey)
	if err != nil {
		return nil, Annotate(err, "list", "types")
	}
	return snap.Types, nil
}

// ReorderTypes puts the types in an order that names each of them once.
func (s *Store) ReorderTypes(ctx context.Context, types []string) (Result, error) {
	return s.apply(ctx, Op{Kind: OpReorderTypes, Key: TypesKey, Order: types})
}

// Pools returns all pools, in the order of their types.
func (s *Store) Pools(ctx context.Context) ([]*Pool, error) {
	snap, err := s.b.Load(ctx, PoolsKey)
	if err != nil {
		return nil, Annotate(err, "read", "pools")
	}
	pools := make([]*Pool, 0, len(snap.Types))
	for _, t := range snap.Types {
		if p := snap.Pools[t]; p != nil {
			pools = append(pools, p)
		}
	}
	return pools, nil
}

// Pool returns the pool of a type.
func (s *Store) Pool(ctx context.Context, typ string) (*Pool, error) {
	key := PoolKey(typ)
	if err := key.Validate(); err != nil {
		return nil, Annotate(err, "read", "pool")
	}
	snap, err := s.b.Load(ctx, key)
	if err != nil {
		return nil, Annotate(err, "read", key.String())
	}
	if p := snap.Pools[typ]; p != nil {
		return p, nil
	}
	return nil, &Error{Action: "read", Key: key.String(), Err: ErrNotFound}
}

// ReplacePool makes a pool exactly the definitions, in that order. Each gets
// its id as [AssignIDs] says: the uuid, or one derived from the definition.
// Providers that stay keep their runtime state. The condition is the structure
// revision of the pool.
func (s *Store) ReplacePool(ctx context.Context, typ string, definitions [][]byte, cond If) (Result, error) {
	for i, def := range definitions {
		if err := ValidateDefinition(def); err != nil {
			return Result{}, Annotate(Errorf(ClassOf(err).Err, "element %d: %v", i, err), string(OpReplacePool), PoolKey(typ).String())
		}
	}
	ids, _ := AssignIDs(definitions)
	records := make([]ProviderRecord, len(ids))
	for i, id := range ids {
		records[i] = ProviderRecord{ID: id, Definition: definitions[i]}
	}
	return s.apply(ctx, Op{Kind: OpReplacePool, Key: PoolKey(typ), Providers: records, If: cond})
}

// ReorderPool puts the providers of a pool in an order that names each once.
func (s *Store) ReorderPool(ctx context.Context, typ string, ids []string, cond If) (Result, error) {
	return s.apply(ctx, Op{Kind: OpReorderPool, Key: PoolKey(typ), Order: ids, If: cond})
}

// DeletePool removes a pool with all its providers. Their tokens stay.
func (s *Store) DeletePool(ctx context.Context, typ string, cond If) (Result, error) {
	return s.apply(ctx, Op{Kind: OpDeletePool, Key: PoolKey(typ), If: cond})
}

func validateJSON(data []byte, what string) error {
	if len(data) > MaxDocument {
		return Errorf(ErrTooLarge, "%s of %d bytes; the limit is %d", what, len(data), MaxDocument)
	}
	return validJSON(data, what)
}
