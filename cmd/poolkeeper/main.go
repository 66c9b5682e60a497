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

func main() { os.Exit(command()) }

// command is the process but for its end.
func command() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
}
