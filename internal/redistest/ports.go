package redistest

import (
	"crypto/rand"
	"errors"
	"math/big"
	"net"
	"strconv"
)

// Ports are taken below the range that systems use for outgoing connections,
// so that no such connection sits on the port while its server is down.
const (
	portFirst = 12000
	portCount = 20000
)

// freePort returns a port of 127.0.0.1 on which nobody listens just now. The
// caller must cope with somebody else taking it first.
func freePort() (int, error) {
	for range 100 {
		n, err := rand.Int(rand.Reader, big.NewInt(portCount))
		if err != nil {
			return 0, err
		}
		port := portFirst + int(n.Int64())
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return 0, err
		}
		return port, nil
	}
	return 0, errors.New("redistest: no free port found on 127.0.0.1")
}
