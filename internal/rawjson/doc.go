// Package rawjson reads and edits single fields of a JSON document without
// touching any other byte of it.
//
// Nothing here decodes a document and encodes it again: number literals of any
// size, escapes, key order, white space, duplicate keys and lone surrogates
// stay as they were written. Values are passed around as sub-slices of the
// document that holds them.
//
// Rules that hold for the whole package:
//
//   - The grammar is RFC 8259, strictly, and one document is one value. Invalid
//     UTF-8 inside of a string is carried as it is; use [unicode/utf8.Valid] to
//     refuse it.
//   - Keys are compared exactly, after their escapes are resolved. Where a key
//     occurs twice in one object the last one counts, as in JavaScript.
//   - Inputs are never written to. Slices handed out by the reading functions
//     share memory with the document; documents returned by the editing
//     functions never do.
//   - Errors never hold content of the document, except for one offending
//     character and, in errors of a patch, the path that the patch names.
//   - All functions may be called from several goroutines at once.
package rawjson
