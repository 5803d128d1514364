// SPDX-License-Identifier: Apache-2.0
// What Ignition itself makes of a configuration on its standard input: what it has to say to it (nothing, where it is
// right), and every directory and file as it would make them. `tests/it/beds` asks it.
package main

import (
	"encoding/json"
	"io"
	"os"

	v3_4 "github.com/coreos/ignition/v2/config/v3_4"
	"github.com/vincent-petithory/dataurl"
)

type entry struct {
	Path  string  `json:"path"`
	Mode  *int    `json:"mode"`
	User  *int    `json:"user"`
	Group *int    `json:"group"`
	Text  *string `json:"text"`
}

type answer struct {
	Said    string  `json:"said"`
	Error   string  `json:"error"`
	Entries []entry `json:"entries"`
}

func main() {
	raw, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	var answer answer
	config, report, err := v3_4.Parse(raw)
	answer.Said = report.String()
	if err != nil {
		answer.Error = err.Error()
	}
	for _, one := range config.Storage.Directories {
		answer.Entries = append(answer.Entries, entry{one.Path, one.Mode, one.User.ID, one.Group.ID, nil})
	}
	for _, one := range config.Storage.Files {
		url, err := dataurl.DecodeString(*one.Contents.Source)
		if err != nil {
			panic(err)
		}
		text := string(url.Data)
		answer.Entries = append(answer.Entries, entry{one.Path, one.Mode, one.User.ID, one.Group.ID, &text})
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		panic(err)
	}
}
