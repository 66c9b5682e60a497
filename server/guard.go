package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// admit decides whether a request may go on at all. Host and Origin come first,
// so that a page in somebody's browser cannot even try keys.
func (s *Server) admit(r *http.Request) error {
	if !s.hostAllowed(r) {
		return poolkeeper.Errorf(poolkeeper.ErrForbidden, "the Host header names none of this service's hosts").
			WithHint("add the name to the allowed hosts of the service, POOLKEEPER_ALLOWED_HOSTS")
	}
	if !s.sameOrigin(r) {
		return poolkeeper.Errorf(poolkeeper.ErrForbidden, "requests from pages of another origin are refused")
	}
	switch r.URL.Path {
	case pathHealthz, pathReadyz, pathOpenAPI, pathDocs:
		return nil
	case pathLogin:
		if r.Method == http.MethodPost {
			return nil // it looks at the code, or the key, by itself
		}
	}
	return s.authorize(r)
}

// authorize lets in who shows the key, or the cookie of a session. A key that is
// shown counts alone.
func (s *Server) authorize(r *http.Request) error {
	if len(r.Header["Authorization"]) == 0 {
		if c, err := r.Cookie(cookieName); err == nil {
			return s.authorizeCookie(r, c.Value)
		}
	}
	return s.authorizeKey(r)
}

// authorizeKey checks the key, in constant time: both are hashed first, so that
// not even the length shows.
func (s *Server) authorizeKey(r *http.Request) error {
	given := r.Header["Authorization"]
	if len(given) == 0 {
		return poolkeeper.Errorf(poolkeeper.ErrUnauthorized, "there is no API key").
			WithHint("send it as Authorization: Bearer KEY")
	}
	if len(given) == 1 && s.hasKey {
		scheme, key, _ := strings.Cut(given[0], " ")
		hash := sha256.Sum256([]byte(strings.TrimSpace(key)))
		if strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(hash[:], s.keyHash[:]) == 1 {
			return nil
		}
	}
	return poolkeeper.Errorf(poolkeeper.ErrUnauthorized, "the API key is not the one of this service").
		WithHint("send it as Authorization: Bearer KEY")
}

// allowedHosts returns the hosts that were configured. An unspecified address is
// none that anybody calls: it stands for all addresses of the machine, and
// those are compared with the one that a connection came in on.
func allowedHosts(opts *Options) map[string]bool {
	hosts := map[string]bool{}
	for _, h := range append([]string{opts.Addr}, opts.AllowedHosts...) {
		h = hostOf(h)
		if addr, err := netip.ParseAddr(h); h == "" || err == nil && addr.IsUnspecified() {
			continue
		}
		hosts[h] = true
	}
	return hosts
}

// hostOf returns the host of a host with or without a port, in lower case and
// without brackets.
func hostOf(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// hostAllowed keeps out requests under a name that somebody else points at this
// machine: loopback, the configured hosts, and the very address that the
// connection came in on are ours.
func (s *Server) hostAllowed(r *http.Request) bool {
	host := hostOf(r.Host)
	if host == "" {
		return false
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || s.hosts[host] {
		return true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if addr.IsLoopback() {
		return true
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return local != nil && local.AddrPort().Addr().Unmap() == addr.Unmap()
}

// sameOrigin reports whether a request comes from no page at all, or from one
// of this very service. Under a configured host there may be a proxy before us
// that speaks TLS to the browser, and passes on the host as it was called.
func (s *Server) sameOrigin(r *http.Request) bool {
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return true
	}
	scheme, port := "http", "80"
	if r.TLS != nil {
		scheme, port = "https", "443"
	}
	u, err := url.Parse(origins[0])
	if err != nil || len(origins) > 1 {
		return false
	}
	if strings.EqualFold(u.Scheme, "https") && s.hosts[hostOf(r.Host)] {
		scheme, port = "https", "443"
	}
	if !strings.EqualFold(u.Scheme, scheme) {
		return false
	}
	return hostOf(u.Host) == hostOf(r.Host) && portOf(u.Host, port) == portOf(r.Host, port)
}

func portOf(hostport, otherwise string) string {
	if _, port, err := net.SplitHostPort(hostport); err == nil && port != "" {
		return port
	}
	return otherwise
}
