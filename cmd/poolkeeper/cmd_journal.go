package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/journal"
	"github.com/poolkeeper/poolkeeper/open"
	"github.com/spf13/cobra"
)

func (a *app) journalCommand() *cobra.Command {
	parent := group(&cobra.Command{
		Use:   "journal",
		Short: "Look at the journal and at what is set aside, and repair a damaged one",
		Long: `The journal holds what was acknowledged and is not yet where it belongs. It lies
in the directory "journal" of the state directory, and where the store is the
gateway's own directory, in "files" there. A damaged one keeps a service
from starting: list says where the damage is, repair makes it start again.`,
	})
	parent.AddCommand(a.journalList(), a.journalRepair(), a.journalRetry(), a.journalDiscard())
	return parent
}

// journalDir is where the journal lies: that of the directory where it is the
// store, else that of the state directory.
func (a *app) journalDir() (string, error) {
	set, err := a.settings()
	if err != nil {
		return "", err
	}
	return open.JournalDir(set), nil
}

func (a *app) journalList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the segments of the journal, and what is damaged",
		Long: `Lists the segments of the journal: how many records each has, their sequences, its
length in bytes, and where it is damaged, with the offset in the file. Nothing is
changed, and the journal may be in use. The end of a write that a crash cut short,
or that is under way, is no damage: a service cuts it off when it starts.

Where the store is in Redis, it lists what waits there too: how many ops, those that
are set aside, as they could not be applied, with their number and the reason, and
what was given up for want of room, or lost by the store. What the ops hold is not
shown. Where a service has the journal, it is asked for that; the segments are read
from the files all the same.

Exit code 1 where the journal is damaged, or where there is none.`,
		Example: `  poolkeeper journal list
  poolkeeper journal list --state-dir /var/lib/poolkeeper --json`,
		Args: need(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := a.journalDir()
			if err != nil {
				return err
			}
			segments, err := journal.Inspect(dir)
			if errors.Is(err, poolkeeper.ErrNotFound) && a.queues(cmd.Context(), a.set) != nil {
				segments, err = []journal.SegmentInfo{}, nil // it queues in memory
			}
			if err != nil {
				return err
			}
			l := summarise(dir, segments)
			if err := a.addBacklog(cmd.Context(), l); err != nil {
				return err
			}
			if err := a.printJournal(l); err != nil {
				return err
			}
			return l.fault()
		},
	}
}

// A journalListing is what list prints.
type journalListing struct {
	Dir     string `json:"dir"`
	Records uint64 `json:"records"` // that can be read
	First   uint64 `json:"first"`   // sequence of the first one; 0 where there is none
	Last    uint64 `json:"last"`
	Bytes   int64  `json:"bytes"`
	Lost    uint64 `json:"lost"`    // sequences that repairs have given up
	Damaged bool   `json:"damaged"` // a service does not start
	// Segments are the files, in their order.
	Segments []journal.SegmentInfo `json:"segments"`
	Backlog  *backlogListing       `json:"backlog,omitempty"`
	inMemory bool                  // what waits is in no file
}

func summarise(dir string, segments []journal.SegmentInfo) *journalListing {
	l := &journalListing{Dir: dir, Segments: segments}
	for _, s := range segments {
		l.Bytes += s.Bytes
		l.Lost += s.Lost
		l.Damaged = l.Damaged || s.Fault != "" && !s.Torn
		if s.Records > 0 {
			l.Records += s.Records
			l.Last = s.Last
			if l.First == 0 {
				l.First = s.First
			}
		}
	}
	return l
}

// fault is the error of a damaged journal.
func (l *journalListing) fault() error {
	for _, s := range l.Segments {
		if s.Fault != "" && !s.Torn {
			return poolkeeper.Errorf(poolkeeper.ErrDamaged, "the journal in %s is damaged: %s at offset %d: %s", l.Dir, s.File, s.FaultAt, s.Fault).
				WithHint("keep what can be read, and put the rest aside: poolkeeper journal repair")
		}
	}
	return nil
}

func (a *app) printJournal(l *journalListing) error {
	if a.json {
		return a.printJSON(l)
	}
	if l.inMemory {
		if err := a.printBacklog(l.Backlog); err != nil {
			return err
		}
		return a.printf("This is in the memory of the service, and is gone with it.\n")
	}
	rows := [][]string{{"FILE", "RECORDS", "FIRST", "LAST", "BYTES", "STATE"}}
	for _, s := range l.Segments {
		first, last := "-", "-"
		if s.Records > 0 {
			first, last = strconv.FormatUint(s.First, 10), strconv.FormatUint(s.Last, 10)
		}
		rows = append(rows, []string{s.File, strconv.FormatUint(s.Records, 10), first, last, strconv.FormatInt(s.Bytes, 10), segmentState(s)})
	}
	if err := a.table(rows); err != nil {
		return err
	}
	if err := a.printBacklog(l.Backlog); err != nil {
		return err
	}
	return a.printf("%s in %s, %d bytes, in %s\n", count(l.Records, "record"), count(uint64(len(l.Segments)), "segment"), l.Bytes, cell(l.Dir))
}

// segmentState says in words what is to be said of a segment.
func segmentState(s journal.SegmentInfo) string {
	state := "whole"
	switch {
	case s.Torn:
		state = fmt.Sprintf("an unfinished write at offset %d", s.FaultAt)
	case s.Fault != "":
		state = fmt.Sprintf("damaged at offset %d: %s", s.FaultAt, s.Fault)
	}
	if s.Lost > 0 {
		state += fmt.Sprintf("; a repair gave up the sequences %d to %d", s.First-s.Lost, s.First-1)
	}
	return state
}

func count(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (a *app) journalRepair() *cobra.Command {
	return &cobra.Command{
		Use:   "repair",
		Short: "Make a damaged journal one that opens",
		Long: `Keeps all records before the first damage, and gives up what comes after: later
changes may build on those that are lost. What is cut off stays beside the journal,
in files that end in .damaged, and what is lost is printed. A journal that is whole
is left as it is.

Refused while a process has the journal: stop the service first (exit code 3).`,
		Example: `  poolkeeper journal list
  poolkeeper journal repair
  poolkeeper journal repair --state-dir /var/lib/poolkeeper --json`,
		Args: need(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := a.journalDir()
			if err != nil {
				return err
			}
			if in := a.running(cmd.Context(), a.set); in != nil {
				return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "process %d serves the store that the journal in %s belongs to", in.PID, dir).
					WithHint("stop it first")
			}
			r, err := journal.Repair(dir)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(r)
			}
			if len(r.Aside) == 0 {
				return a.printf("The journal is whole: %s. Nothing was changed.\n", count(r.Kept, "record"))
			}
			if err := a.printf("Kept %s. The next one gets the sequence %d.\n", count(r.Kept, "record"), r.Next); err != nil {
				return err
			}
			for _, lost := range r.Lost {
				if err := a.printf("Lost: %s\n", lost); err != nil {
					return err
				}
			}
			return a.printf("Put aside in %s: %s\n", cell(dir), strings.Join(r.Aside, ", "))
		},
	}
}
