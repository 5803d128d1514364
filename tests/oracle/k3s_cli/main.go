// SPDX-License-Identifier: Apache-2.0
// k3s_cli answers what K3s' command line says: it builds the program's flags and commands as pkg/cli/cmds of K3s does,
// from a table, with either generation of urfave/cli.
//
// The first line of its input is {"tables": {name: {"global": [flag], "server": [flag], "agent": [flag]}}}. A flag is
// {"names", "type", "env", "into"}. Each further line is a question, {"table", "generation", "argv", "env", "config"};
// the answer is a line {"command", "values", "rest", "error"}. No command ran where the library printed its help or the version.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"time"
	"unsafe"
)

type option struct {
	Names []string `json:"names"`
	Type  string   `json:"type"`
	Env   []string `json:"env"`
	Into  string   `json:"into"`
}

type table struct {
	Global []option `json:"global"`
	Server []option `json:"server"`
	Agent  []option `json:"agent"`
}

type question struct {
	Tables     map[string]table  `json:"tables"`
	Table      string            `json:"table"`
	Generation int               `json:"generation"`
	Argv       []string          `json:"argv"`
	Env        map[string]string `json:"env"`
	// Config has the texts of the configuration files, in their order; none where argv has their words already.
	Config []string `json:"config"`
}

type answer struct {
	Command string              `json:"command"`
	Values  map[string][]string `json:"values"`
	Rest    []string            `json:"rest"`
	Error   string              `json:"error"`
}

// others are the commands that K3s has beside server and agent.
var others = []string{"kubectl", "crictl", "ctr", "check-config", "token", "etcd-snapshot", "secrets-encrypt", "certificate", "completion"}

func main() {
	decoder := json.NewDecoder(bufio.NewReaderSize(os.Stdin, 1<<20))
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	tables := map[string]table{}
	for decoder.More() {
		var asked question
		must(decoder.Decode(&asked))
		if asked.Tables != nil {
			tables = asked.Tables
			continue
		}
		os.Clearenv()
		for name, value := range asked.Env {
			must(os.Setenv(name, value))
		}
		argv := append([]string{"k3s"}, asked.Argv...)
		var result answer
		if len(asked.Config) > 0 {
			// The command is the first word.
			of, err := words(asked.Config)
			must(err)
			argv = append(append([]string{"k3s", asked.Argv[0]}, of...), asked.Argv[1:]...)
		}
		if asked.Generation == 1 {
			result = first(tables[asked.Table], argv)
		} else {
			result = second(tables[asked.Table], argv)
		}
		must(encoder.Encode(result))
	}
}

// state holds the values that the flags of a command set.
type state struct {
	booleans  map[string]*bool
	integers  map[string]*int
	durations map[string]*time.Duration
	texts     map[string]*string
}

func newState() *state {
	return &state{map[string]*bool{}, map[string]*int{}, map[string]*time.Duration{}, map[string]*string{}}
}

// into returns the name under which the value of a flag is told.
func (o option) into() string {
	if o.Into != "" {
		return o.Into
	}
	return o.Names[0]
}

// collect returns the values of the flags that a word or a variable with a text in it sets.
func collect(options []option, set *flag.FlagSet, state *state, list func(option) []string) map[string][]string {
	visited := map[string]bool{}
	set.Visit(func(f *flag.Flag) { visited[f.Name] = true })
	values := map[string][]string{}
	for _, o := range options {
		isSet := false
		for _, name := range o.Names {
			isSet = isSet || visited[name]
		}
		for _, name := range o.Env {
			if value, ok := os.LookupEnv(name); ok {
				isSet = isSet || value != ""
				break
			}
		}
		if !isSet {
			continue
		}
		name := o.Names[0]
		switch o.Type {
		case "boolean":
			values[name] = []string{strconv.FormatBool(*state.booleans[name])}
		case "integer":
			values[name] = []string{strconv.Itoa(*state.integers[name])}
		case "duration":
			values[name] = []string{strconv.FormatInt(int64(*state.durations[name]), 10)}
		case "text":
			values[name] = []string{*state.texts[name]}
		default:
			values[o.into()] = list(o)
		}
	}
	return values
}

// flagSetOf returns the flag set of a context of either generation, which says what the command line itself sets.
func flagSetOf(context any) *flag.FlagSet {
	field := reflect.ValueOf(context).Elem().FieldByName("flagSet")
	return (*flag.FlagSet)(unsafe.Pointer(field.Pointer()))
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var nowhere io.Writer = io.Discard
