//go:build race

package storetest

// raceDetector says that the race detector is on, under which moving megabytes is
// some ten times slower.
const raceDetector = true
