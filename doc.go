// Package poolkeeper keeps the shared state of AI-API gateways: the pools of
// provider accounts with their health and usage counters, their OAuth tokens,
// the service configuration, the UI password and sessions, and whatever other
// files the gateway carries.
//
// The package is the vocabulary and the contract. A [Store] is what a gateway
// calls; below it, a [Backend] keeps the state: memstore in memory, redisstore
// in Redis for any number of instances. Every mutation is an [Op], a plain
// value, so that the same one can be validated, batched, sent, kept and
// compared.
//
// # Bytes
//
// Documents are bytes, never decoded and encoded again. An op touches the
// fields that it names; unknown fields, key order, number literals of any
// size, escapes and white space stay as they were. Byte slices that a Store or
// Backend returns are owned by it and must not be changed; those given to it
// must not be changed afterwards.
//
// # Acknowledgement
//
// The answer to a write says what its acknowledgement means, see [Status].
// [ErrUnavailable] is returned only for what was surely not applied;
// [ErrIndeterminate] where it may have been.
package poolkeeper
