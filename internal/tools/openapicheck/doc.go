// Package openapicheck holds the service to its OpenAPI document with a validator
// that somebody else wrote. It has only tests. It is a module of its own, so that
// the validator and what it needs are no part of the product: `make test-openapi`,
// which `make test` runs too.
package openapicheck
