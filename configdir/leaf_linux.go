package configdir

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"path"
	"slices"
	"syscall"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper"
)

// maxLeaf is how many bytes of entries a directory may have to be read at once.
const maxLeaf = 8 << 10

// leaf reads a directory of another one in which there are some regular files and nothing else, as
// most of those with tokens are: by calls of the system on the open directory, which
// are half as many. The names are single ones and no link is followed, so nothing
// leads out of it. done is false where it is another kind of directory, which is
// walked.
func (w *walker) leaf(in folder, name, at, real string) (done bool, err error) {
	if in.f == nil {
		return false, nil
	}
	conn, err := in.f.SyscallConn()
	if err != nil {
		return false, nil // the walk says why
	}
	dir := -1
	failed := conn.Control(func(fd uintptr) {
		dir, err = retry(func() (int, error) {
			return syscall.Openat(int(fd), name, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
		})
	})
	if failed != nil || err != nil {
		return false, nil
	}
	defer syscall.Close(dir)
	names, ok := regularFiles(dir)
	if !ok {
		return false, nil
	}
	for _, name := range names {
		if !utf8.ValidString(name) || poolkeeper.ValidatePath(at+"/"+name) != nil {
			return false, nil // the walk notes it
		}
	}
	slices.Sort(names)
	for _, name := range names {
		p := at + "/" + name
		err := w.file(p, path.Join(real, name), func(limit int64) ([]byte, error) { return w.root.readAt(dir, name, p, limit) })
		if err != nil {
			return true, err
		}
	}
	return true, nil
}

// regularFiles lists an open directory, if it has nothing but regular files and not
// too many.
func regularFiles(fd int) (names []string, ok bool) {
	var buf [maxLeaf]byte
	n := 0
	for {
		got, err := retry(func() (int, error) { return syscall.ReadDirent(fd, buf[n:]) })
		if err != nil {
			return nil, false // also where there is no room for the next one
		}
		if got == 0 {
			break
		}
		n += got
	}
	const head = 19 // of an entry: number 8, offset 8, length 2, type 1
	for b := buf[:n]; len(b) > 0; {
		if len(b) < head {
			return nil, false
		}
		length := int(binary.NativeEndian.Uint16(b[16:]))
		if length < head || length > len(b) {
			return nil, false
		}
		name, kind := b[head:length], b[18]
		if i := slices.Index(name, 0); i >= 0 {
			name = name[:i]
		}
		b = b[length:]
		if s := string(name); s == "." || s == ".." {
			continue
		} else if kind != syscall.DT_REG {
			return nil, false
		} else {
			names = append(names, s)
		}
	}
	return names, true
}

// readAt is [root.readIn] in an open directory. It follows no link.
func (r *root) readAt(dir int, name, p string, limit int64) ([]byte, error) {
	fd, err := retry(func() (int, error) {
		return syscall.Openat(dir, name, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW|syscall.O_CLOEXEC|syscall.O_LARGEFILE, 0)
	})
	if err == syscall.ELOOP { // it was no link when it was listed
		return nil, r.changed(p)
	}
	if err != nil {
		return nil, r.listed(p, &fs.PathError{Op: "open", Path: p, Err: err})
	}
	defer syscall.Close(fd)
	var info, now syscall.Stat_t
	if err := syscall.Fstat(fd, &info); err != nil {
		return nil, r.refusal(p, err)
	}
	if info.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return nil, r.refuse(p, poolkeeper.ErrInvalid, "it is not a regular file")
	}
	if info.Size > limit {
		return nil, r.refuse(p, poolkeeper.ErrTooLarge, "it has %d bytes; the limit is %d", info.Size, limit)
	}
	data := make([]byte, info.Size+1)
	n := 0
	for n < len(data) {
		got, err := retry(func() (int, error) { return syscall.Read(fd, data[n:]) })
		if err != nil {
			return nil, r.refusal(p, &fs.PathError{Op: "read", Path: p, Err: err})
		}
		n += got
		if got == 0 || int64(n) == info.Size { // had it more by now, its size would be another
			break
		}
	}
	if err := syscall.Fstat(fd, &now); err != nil {
		return nil, r.refusal(p, err)
	}
	if int64(n) != info.Size || now.Size != info.Size || now.Mtim != info.Mtim {
		return nil, r.changed(p)
	}
	return data[:n:n], nil
}

func retry(do func() (int, error)) (n int, err error) {
	for {
		if n, err = do(); !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}
