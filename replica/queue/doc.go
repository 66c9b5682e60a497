// Package queue is a layer over a store: while that is away, what can wait is
// made durable in a backlog and acknowledged as queued; when it is back, it is
// brought there, once and in order.
package queue
