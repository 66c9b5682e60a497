package bench

import (
	"math/bits"
	"time"
)

// A histogram counts latencies in buckets that are at most 1/32 of their value
// wide. Its size is fixed, and adding to it costs a few instructions; it is for
// one goroutine.
type histogram struct {
	counts [buckets]uint32
	total  int64
	max    time.Duration // exactly
}

const (
	subBits = 5
	// 2^40 ns are 18 minutes; what takes longer lands in the last bucket.
	buckets = (40 - subBits + 1) << subBits
)

func bucketOf(d time.Duration) int {
	n := uint64(max(d, 0))
	if n < 1<<subBits {
		return int(n)
	}
	exp := bits.Len64(n) - subBits - 1
	return min(exp<<subBits+int(n>>exp), buckets-1)
}

// middleOf is the middle of a bucket.
func middleOf(i int) time.Duration {
	if i < 1<<(subBits+1) {
		return time.Duration(i)
	}
	exp := i>>subBits - 1
	from := uint64(i-exp<<subBits) << exp
	return time.Duration(from + 1<<exp/2)
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucketOf(d)]++
	h.total++
	h.max = max(h.max, d)
}

func (h *histogram) merge(o *histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.total += o.total
	h.max = max(h.max, o.max)
}

// quantile is the latency that a share q of all did not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	rank := int64(q * float64(h.total))
	for i, c := range h.counts {
		if rank -= int64(c); rank < 0 {
			return middleOf(i)
		}
	}
	return 0
}
