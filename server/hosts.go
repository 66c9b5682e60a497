package server

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// hostNames are the hosts that were configured. Under those that are allowed
// beside the address there may be a proxy that speaks TLS.
type hostNames struct {
	addr    string
	allowed map[string]bool
}

// namesOf returns the hosts that were configured. An unspecified address is none
// that anybody calls: it stands for all addresses of the machine, and those are
// compared with the one that a connection came in on.
func namesOf(opts *Options) hostNames {
	names := hostNames{addr: configured(opts.Addr), allowed: map[string]bool{}}
	for _, h := range opts.AllowedHosts {
		if h = configured(h); h != "" {
			names.allowed[h] = true
		}
	}
	return names
}

// configured returns a host that was configured, with a port or without, as
// splitHost returns it; empty where it is none that anybody calls.
func configured(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if addr, err := netip.ParseAddr(host); err == nil && addr.IsUnspecified() {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// splitHost takes a host apart that a client sent: the host in lower case and
// without brackets, and the port, if there is one. Brackets are for IPv6 alone,
// and a port is a number.
func splitHost(hostport string) (host, port string, ok bool) {
	host, rest := hostport, ""
	if strings.HasPrefix(hostport, "[") {
		inner, after, closed := strings.Cut(hostport[1:], "]")
		addr, err := netip.ParseAddr(inner)
		if !closed || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", "", false
		}
		host, rest = inner, after
	} else if i := strings.IndexByte(hostport, ':'); i >= 0 {
		host, rest = hostport[:i], hostport[i:]
	}
	if rest != "" {
		port = rest[1:]
		if n, err := strconv.ParseUint(port, 10, 16); rest[0] != ':' || err != nil || n == 0 {
			return "", "", false
		}
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host, port, host != ""
}

// hostAllowed keeps out requests under a name that somebody else points at this
// machine: loopback, the configured hosts, and the very address that the
// connection came in on are ours.
func (s *Server) hostAllowed(r *http.Request) bool {
	host, _, ok := splitHost(r.Host)
	if !ok {
		return false
	}
	if host == "localhost" || host == s.hosts.addr || s.hosts.allowed[host] {
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
// of this very service. Under an allowed host there may be a proxy before us
// that speaks TLS to the browser, and passes on the host as it was called.
func (s *Server) sameOrigin(r *http.Request) bool {
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return true
	}
	scheme, rest, _ := strings.Cut(origins[0], "://")
	from, fromPort, ok := splitHost(rest)
	if !ok || len(origins) > 1 {
		return false
	}
	to, toPort, _ := splitHost(r.Host)
	secure := strings.EqualFold(scheme, "https")
	standard := "80"
	if secure {
		standard = "443"
	}
	switch {
	case !secure && !strings.EqualFold(scheme, "http"), secure && r.TLS == nil && !s.hosts.allowed[to], !secure && r.TLS != nil:
		return false
	}
	return from == to && orElse(fromPort, standard) == orElse(toPort, standard)
}

func orElse(port, otherwise string) string {
	if port == "" {
		return otherwise
	}
	return port
}
