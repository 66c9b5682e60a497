// Package transfer brings a gateway's configs/ directory into a store, and
// compares the two by content. Directory and store meet in a
// [poolkeeper.Snapshot], which package configdir makes of a directory.
//
// Results and errors name files, types, ids and places. They hold no content of
// tokens, passwords, sessions or documents.
package transfer
