// Command poolkeeper keeps the shared state of AI-API gateways in Redis: it
// imports the configs/ directory of a gateway, serves it over HTTP, and lets
// operators look at it, edit and export it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
