package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// printJSON prints a value of ours; documents go through printDocument.
func (a *app) printJSON(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return &poolkeeper.Error{Err: poolkeeper.ErrInternal, Detail: "result cannot be encoded: " + err.Error()}
	}
	return a.print(b.Bytes())
}

// listed is a list that is [] in JSON where it is empty, and not null.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (a *app) print(b []byte) error {
	_, err := a.out.Write(b)
	return err
}

func (a *app) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(a.out, format, args...)
	return err
}

// note tells people something that is no result.
func (a *app) note(format string, args ...any) {
	a.endLine()
	fmt.Fprintf(a.errOut, format+"\n", args...)
}

// printDocument prints a document: its bytes as they are with reveal, else
// masked, with a line end. What is no JSON cannot be masked.
func (a *app) printDocument(what string, doc []byte, reveal bool, mask func([]byte) []byte) error {
	if reveal {
		return a.print(doc)
	}
	// A byte order mark is no part of what is shown.
	doc, _ = rawjson.StripBOM(doc)
	if rawjson.Valid(doc) != nil {
		return poolkeeper.Errorf(poolkeeper.ErrForbidden, "%s is not valid JSON, so its secrets cannot be masked (%d bytes)", what, len(doc)).
			WithHint("--reveal prints it as it is")
	}
	return a.print(append(bytes.TrimRight(mask(doc), "\r\n"), '\n'))
}

// field takes one field out of a document.
func field(what string, doc []byte, name string) ([]byte, error) {
	doc, _ = rawjson.StripBOM(doc)
	v, ok := rawjson.Get(doc, name)
	if !ok {
		return nil, poolkeeper.Errorf(poolkeeper.ErrNotFound, "%s has no field %q", what, name)
	}
	return v, nil
}

// A written is the answer to a write as JSON: that of the REST API.
type written struct {
	Status     poolkeeper.Status `json:"status"`
	Revision   string            `json:"revision,omitempty"`
	Changed    bool              `json:"changed"`
	ID         string            `json:"id,omitempty"`
	UsageCount *int64            `json:"usageCount,omitempty"`
	ErrorCount *int64            `json:"errorCount,omitempty"`
	IsHealthy  *bool             `json:"isHealthy,omitempty"`
}

// printResult prints the answer to a write. counters adds what the op counted.
func (a *app) printResult(r poolkeeper.Result, err error, counters func(*written)) error {
	if err != nil {
		return err
	}
	w := written{Status: r.Status, Changed: r.Changed, ID: r.ID}
	if r.Status == poolkeeper.Applied { // else the outcome is not known yet
		w.Revision = r.Revision.String()
		if counters != nil {
			counters(&w)
		}
	}
	if a.json {
		return a.printJSON(w)
	}
	line := string(w.Status)
	if !w.Changed {
		line += ", nothing changed"
	}
	if w.ID != "" {
		line += "  id " + word(w.ID)
	}
	if w.UsageCount != nil {
		line += "  usageCount " + strconv.FormatInt(*w.UsageCount, 10)
	}
	if w.ErrorCount != nil {
		line += "  errorCount " + strconv.FormatInt(*w.ErrorCount, 10)
	}
	if w.IsHealthy != nil {
		line += "  isHealthy " + strconv.FormatBool(*w.IsHealthy)
	}
	return a.printf("%s\n", line)
}

// table prints rows in columns.
func (a *app) table(rows [][]string) error {
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	return w.Flush()
}

// cell prints a text in a table, quoted where it would not stand for itself: a
// name may hold line ends and what a terminal takes for a command.
func cell(s string) string {
	if s == "" || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// word prints a type or id in a table, quoted where it would not be one word.
func word(s string) string {
	if strings.ContainsAny(s, " \"'") {
		return strconv.Quote(s)
	}
	return cell(s)
}
