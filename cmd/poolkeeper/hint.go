package main

import (
	"errors"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// hintFor is the way out of errors that name none of their own: no command
// fails without one.
func (a *app) hintFor(class poolkeeper.ErrorClass, err error) string {
	var lost *unwritten
	if errors.As(err, &lost) {
		return "make room there, or send it elsewhere; what the command was to do is done"
	}
	path, _ := a.within()
	if hint := hintStatus[class.Err]; hint != "" && path == "status" {
		return hint
	}
	switch class.Err {
	case poolkeeper.ErrInvalid:
		return a.hintInvalid()
	case poolkeeper.ErrTooLarge:
		return "it has to be smaller; nothing was changed"
	case poolkeeper.ErrNotFound:
		return a.hintNotFound()
	case poolkeeper.ErrExists:
		return a.hintExists()
	case poolkeeper.ErrConflict:
		return "read it again, and decide anew"
	case poolkeeper.ErrUninitialized:
		return "fill it: poolkeeper import --config-dir " + a.configDir() + ", or poolkeeper init for an empty one"
	case poolkeeper.ErrForeign:
		return "convert it by poolkeeper import --from-redis URL --in-place, or use another --key-prefix"
	case poolkeeper.ErrUnauthorized, poolkeeper.ErrForbidden:
		return "see with which settings it was asked for: poolkeeper status"
	case poolkeeper.ErrUnavailable:
		return "check that Redis is running and that the settings are right: poolkeeper status"
	case poolkeeper.ErrLost:
		return "check Redis before anything is written: poolkeeper status"
	case poolkeeper.ErrDamaged:
		return "put it back from an export: poolkeeper import --config-dir DIR"
	case poolkeeper.ErrDiffers:
		return "look at what differs, and take the one or the other: poolkeeper import, or poolkeeper export"
	}
	if class.Exit == poolkeeper.ExitInternal {
		return "report it, with what poolkeeper version prints"
	}
	// The outcome is unknown, or it was cut short.
	return "look whether it was applied before doing it again"
}

// hintStatus has the ways out that status names, where other commands send to it.
var hintStatus = map[error]string{
	poolkeeper.ErrUnauthorized: "correct it where the SOURCE of the setting says, or in Redis",
	poolkeeper.ErrForbidden:    "correct it where the SOURCE of the setting says, or in Redis",
	poolkeeper.ErrUnavailable:  "start Redis, or correct its address where the SOURCE of the setting says",
	poolkeeper.ErrLost:         "compare target, database and prefix: if it is the right Redis, put back what this instance has: poolkeeper recover",
}

// within is the command that runs, without the name of the program, and its
// first word.
func (a *app) within() (path, group string) {
	if a.cmd == nil {
		return "", ""
	}
	_, path, _ = strings.Cut(a.cmd.CommandPath(), " ")
	group, _, _ = strings.Cut(path, " ")
	return path, group
}

func (a *app) configDir() string {
	if a.set == nil {
		return "DIR"
	}
	return a.set.ConfigDir
}

func (a *app) hintInvalid() string {
	path, _ := a.within()
	switch path {
	case "":
		return "see poolkeeper help"
	case "import", "verify":
		return "correct it, and run it again; nothing was changed"
	}
	return "correct it, and run it again; nothing was changed. See poolkeeper " + path + " --help"
}

func (a *app) hintNotFound() string {
	switch _, group := a.within(); group {
	case "provider", "token", "usage", "error", "success":
		return "see which types and ids there are: poolkeeper provider list"
	case "config":
		return "see which fields there are: poolkeeper config get"
	case "doc":
		return "see which fields there are: poolkeeper doc get NAME"
	}
	return "check the path that was given"
}

func (a *app) hintExists() string {
	switch path, _ := a.within(); path {
	case "init":
		return "look at it: poolkeeper status; put a directory into it: poolkeeper import --config-dir " + a.configDir()
	case "provider add":
		return "change it: poolkeeper provider set TYPE ID; or give the new one another uuid"
	case "provider rename":
		return "take another id, or look at the one that has it: poolkeeper provider get TYPE ID"
	}
	return "take another name, or remove what is there"
}

// hinted gives an error of the settings its way out, where it names none.
func hinted(err error) error {
	var e *poolkeeper.Error
	if errors.As(err, &e) && e.Hint == "" {
		return e.WithHint("correct it where it says, or take it away there")
	}
	return err
}
