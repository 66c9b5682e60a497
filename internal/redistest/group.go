package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// startAll starts one server for each configuration, at the same time. When
// one fails, the others are ended.
func startAll(ctx context.Context, cfgs []*config) ([]*Server, error) {
	servers, errs := make([]*Server, len(cfgs)), make([]error, len(cfgs))
	var wg sync.WaitGroup
	for i, cfg := range cfgs {
		wg.Go(func() { servers[i], errs[i] = start(ctx, cfg) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			closeAll(servers)
			return nil, err
		}
	}
	return servers, nil
}

func closeAll(servers []*Server) {
	for _, s := range servers {
		if s != nil {
			s.close()
		}
	}
}

// member returns the configuration of member i of a group made from base.
func member(base *config, i int) (*config, error) {
	cfg := base.clone()
	if base.dir != "" {
		cfg.dir = filepath.Join(base.dir, fmt.Sprintf("node-%d", i))
		if err := os.MkdirAll(cfg.dir, 0o700); err != nil {
			return nil, err
		}
	}
	return cfg, nil
}

// groupConfig returns the configuration that the members of a group share: one
// CA for all of them.
func groupConfig(opts []Option) (*config, error) {
	cfg := newConfig(opts)
	if cfg.tls {
		m, err := newTLSMaterial()
		if err != nil {
			return nil, err
		}
		cfg.material = m
	}
	return cfg, nil
}
