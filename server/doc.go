// Package server is the REST service over a [poolkeeper.Store]: the paths below
// /api/v1, the two health checks, the metrics and the descriptions of the API.
// docs/api.md introduces it, /docs is the reference for people and /openapi.json
// the one for programs, both made from the table of routes that serves the requests.
//
// Documents pass through as bytes: what a client puts is what another one gets,
// and nothing here decodes a document and encodes it again.
//
// Every request but those to /healthz, /readyz, /openapi.json and /docs needs the
// key, or the cookie of a browser that has logged in.
// Hosts that are not ours and pages of other origins are refused before that,
// so that a browser cannot be made to reach a service on loopback.
package server
