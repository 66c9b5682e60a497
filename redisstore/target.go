package redisstore

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// A target is where Redis is, as a URL says it.
type target struct {
	option rueidis.ClientOption
	text   string // for people, without credentials
}

// Place names the store that a URL and a prefix are: the same text for the same
// server by the same name, and no credentials.
func Place(rawURL, prefix string) (string, error) {
	t, err := parseTarget(rawURL, &Options{})
	if err != nil {
		return "", err
	}
	hosts := make([]string, len(t.option.InitAddress))
	for i, h := range t.option.InitAddress {
		hosts[i] = strings.ToLower(h)
	}
	slices.Sort(hosts)
	text := "redis " + strings.Join(slices.Compact(hosts), ",")
	if m := t.option.Sentinel.MasterSet; m != "" {
		text += " master " + m
	}
	return text + " database " + strconv.Itoa(t.option.SelectDB) + " prefix " + prefix, nil
}

// parseTarget reads a URL:
//
//	redis://user:password@host:6379/0       rediss:// for TLS
//	unix:///run/redis.sock?db=0
//	redis://host1:26379,host2:26379/0?master=NAME         Sentinel
//	redis://host1:6379,host2:6379?cluster=true            Cluster
//	redis://host1:6379?addr=host2:6379&cluster=true       the same
//
// What it does not know is an error; no error repeats the URL.
func parseTarget(raw string, opts *Options) (target, error) {
	bad := func(format string, args ...any) (target, error) {
		return target{}, poolkeeper.Errorf(poolkeeper.ErrInvalid, "Redis URL: "+format, args...).
			WithHint("for example redis://127.0.0.1:6379/0, rediss://…, unix:///run/redis.sock")
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return bad("it has no scheme")
	}
	// Several hosts are no URL by the letter; url.Parse gets the rest of it.
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	hosts, userinfo := authority, ""
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		userinfo, hosts = authority[:i+1], authority[i+1:]
	}
	u, err := url.Parse("redis://" + userinfo + "host" + tail)
	if err != nil {
		return bad("it cannot be parsed")
	}
	t := target{option: rueidis.ClientOption{
		Username:              opts.Username,
		Password:              opts.Password,
		SelectDB:              opts.DB,
		ClientName:            "poolkeeper",
		Dialer:                net.Dialer{Timeout: opts.ConnectTimeout, KeepAlive: 30 * time.Second},
		ConnWriteTimeout:      opts.CommandTimeout,
		DisableRetry:          true,
		DisableCache:          true,
		DisableAutoPipelining: true,
		ForceSingleClient:     true,
	}}
	o := &t.option
	if u.User != nil {
		if o.Username != "" || o.Password != "" {
			return bad("credentials are given in it and beside it")
		}
		o.Username = u.User.Username()
		o.Password, _ = u.User.Password()
	}
	query := u.Query()
	db := query.Get("db")
	path := u.Path
	switch scheme {
	case "unix":
		if path == "" || path == "/" || hosts != "" {
			return bad("a unix URL has three slashes and a path")
		}
		o.InitAddress = []string{path}
		o.DialCtxFn = func(ctx context.Context, addr string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
			return d.DialContext(ctx, "unix", addr)
		}
		t.text = "unix://" + path
	case "redis", "rediss":
		for h := range strings.SplitSeq(hosts, ",") {
			host, port := h, "6379"
			if name, p, err := net.SplitHostPort(h); err == nil {
				host, port = name, p
			}
			if n, err := strconv.Atoi(port); host == "" || err != nil || n < 1 || n > 65535 {
				return bad("a host in it is no host:port; in a password, / ? # @ and %% are written as %%2F %%3F %%23 %%40 %%25")
			}
			o.InitAddress = append(o.InitAddress, net.JoinHostPort(strings.Trim(host, "[]"), port))
		}
		if scheme == "rediss" {
			o.TLSConfig = opts.TLS.Clone()
			if o.TLSConfig == nil {
				o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
			}
		}
		if p := strings.Trim(path, "/"); p != "" {
			if db != "" {
				return bad("the database is given twice")
			}
			db = p
		}
	default:
		return bad("the scheme is none of redis, rediss, unix")
	}
	if db != "" {
		if o.SelectDB, err = strconv.Atoi(db); err != nil || o.SelectDB < 0 {
			return bad("the database is no number")
		}
	}
	for name, values := range query {
		v := values[len(values)-1]
		switch name {
		case "db":
		case "addr":
			for _, a := range values {
				if _, _, err := net.SplitHostPort(a); err != nil || scheme == "unix" || strings.Contains(a, "@") {
					return bad("an addr in it is no host:port")
				}
				o.InitAddress = append(o.InitAddress, a)
			}
		case "master", "master_set": // the second is rueidis' own name for it
			o.Sentinel = rueidis.SentinelOption{MasterSet: v, TLSConfig: o.TLSConfig, Dialer: o.Dialer, Username: opts.SentinelUsername, Password: opts.SentinelPassword}
		case "cluster":
			if v != "true" && v != "false" {
				return bad("cluster is neither true nor false")
			}
			o.ForceSingleClient = v != "true"
		default:
			return bad("it has a parameter other than db, addr, master and cluster")
		}
	}
	cluster := !o.ForceSingleClient
	switch {
	case cluster && o.Sentinel.MasterSet != "":
		return bad("it is either a cluster or behind Sentinel")
	case cluster && o.SelectDB != 0:
		return bad("a cluster has no databases but 0")
	case o.Sentinel.MasterSet == "" && opts.SentinelUsername+opts.SentinelPassword != "":
		return bad("credentials for Sentinel are given beside it, and it has no ?master=NAME")
	case !cluster && o.Sentinel.MasterSet == "" && len(o.InitAddress) > 1:
		return bad("several hosts need ?cluster=true or ?master=NAME")
	}
	if scheme != "unix" {
		t.text = scheme + "://" + strings.Join(o.InitAddress, ",")
	}
	if o.SelectDB != 0 {
		t.text += "/" + strconv.Itoa(o.SelectDB)
	}
	if cluster {
		// The address list alone does not make rueidis speak to a cluster of one.
		t.text += "?cluster=true"
	}
	return t, nil
}
