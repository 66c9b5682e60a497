// Package redistest starts real redis-server processes for tests, benchmarks
// and commands: standalone, with an append-only file, TLS or ACL users, as
// replicas, under Sentinel, as a Cluster; and it puts a fault proxy in front
// of them. There is no fake: what a test sees is what Redis does.
//
// Every server listens on a free port of 127.0.0.1 and on a unix socket, keeps
// its files in a directory of its own, and is killed at cleanup with that
// directory removed. The log of a server is printed when its test failed.
//
// Helpers go through the unix socket as an administrative user that every
// server has besides the users of the test, so they work whatever the test
// does with passwords, ACLs or TLS.
//
// Methods without an error result fail the test that started the server; on a
// server from [StartMain] they panic.
//
// Without redis-server on PATH a test is skipped, or fails when
// POOLKEEPER_REQUIRE_REDIS is set. POOLKEEPER_REDIS_START_TIMEOUT, a duration,
// lengthens the wait for a start (15s) on slow machines.
package redistest
