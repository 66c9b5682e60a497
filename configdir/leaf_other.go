//go:build !linux

package configdir

// leaf is not known here: everything is walked.
func (w *walker) leaf(folder, string, string, string) (bool, error) { return false, nil }
