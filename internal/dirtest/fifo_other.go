//go:build !unix

package dirtest

import "errors"

func makeFifo(string, uint32) error { return errors.ErrUnsupported }
