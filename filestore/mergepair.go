package filestore

import (
	"github.com/poolkeeper/poolkeeper"
)

// pair finds which provider of the file is which of those that were there: by
// its id, which is that of the same content where no uuid says it; by the uuid that
// it was given here since, as a checkpoint that was cut off may have written that;
// and those that have neither in common in their order, if they are as many.
func pair(base []poolkeeper.Provider, texts [][]byte, now []string, given []poolkeeper.Provider) map[int]int {
	ids, _ := poolkeeper.AssignIDs(texts)
	byID := map[string]int{}
	for i, id := range now {
		if id != "" {
			byID[id] = i
		}
	}
	for i := range base {
		byID[base[i].ID] = i
	}
	partner, taken := map[int]int{}, map[int]bool{}
	for i := range given {
		if b, ok := byID[given[i].ID]; ok && !taken[b] {
			partner[i], taken[b] = b, true
		}
	}
	var restB, restG []int
	for b := range base {
		if !taken[b] && (ids[b][0] == '~' || base[b].ID[0] == '~') {
			restB = append(restB, b)
		}
	}
	for i := range given {
		if _, ok := partner[i]; !ok && given[i].ID[0] == '~' {
			restG = append(restG, i)
		}
	}
	if len(restB) == len(restG) {
		for k := range restG {
			partner[restG[k]] = restB[k]
		}
	}
	return partner
}
