// SPDX-License-Identifier: Apache-2.0
// component_values tells of each line of JSON on the standard input whether Kubernetes' own code accepts it:
//
//	component_values NODE.json [JOBS] < cases.jsonl > judged.jsonl
//
// A case has a component, the arguments that the user's key in K3s' configuration gives it, and files of the node:
// {"component", "args": [text], "files": {path: text, {"dir": true} or {"link": path}}}. The answer is the case with
// "accepted", "error", "stage" and "late". NODE.json says what K3s itself gives the components of this minor (nodeDefaults).
//
// What K3s does to the arguments before the component gets them is done here in the same way (arguments.go). The
// files are laid in a root of its own, in a mount and network namespace of its own (process.go, node.go), on a node of
// four CPUs and 8 GiB. So the program needs root. The other files ask one component each.
//
// tests/it/component_values builds it against a release of Kubernetes. What differs between minors is in minor_*.go.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// A componentCase is a line of the input, with K3s' own arguments of the component.
type componentCase struct {
	Component string                     `json:"component"`
	Args      []string                   `json:"args"`
	Files     map[string]json.RawMessage `json:"files,omitempty"`
	Own       map[string]string          `json:"own,omitempty"`
	// Asked is what a program that is built with more files than these (tests/oracle/passes) asks besides.
	Asked json.RawMessage `json:"asked,omitempty"`
}

// A verdict is what Kubernetes says of a case; the stage is the step of the component's start that refused it.
type verdict struct {
	Accepted bool   `json:"accepted"`
	Error    string `json:"error,omitempty"`
	Stage    string `json:"stage,omitempty"`
	// Late is the error with which the component ends after it has taken its options; it is accepted then.
	Late string `json:"late,omitempty"`
	// Found is the answer to what is asked besides.
	Found json.RawMessage `json:"found,omitempty"`
}

// listen is told the options of a component, and what the component makes of them. Only other programs listen.
var listen = func(what any) {}

// found returns the answer to what is asked besides.
var found = func(one componentCase) json.RawMessage { return nil }

// A commandLine is that with which K3s starts the component.
type commandLine []string

// components asks each component: it returns the error with which the component would exit, and sets the stage.
var components = map[string]func(ctx context.Context, args []string, stage *string) error{
	"kube-apiserver":                askAPIServer,
	"kube-controller-manager":       askControllerManager,
	"kube-cloud-controller-manager": askCloudControllerManager,
	"kube-scheduler":                askScheduler,
	"kubelet":                       askKubelet,
	"kube-proxy":                    askProxy,
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "in-root" {
		answerInRoot(os.Args[2])
		return
	}
	jobs := 1
	if len(os.Args) > 2 {
		var err error
		jobs, err = strconv.Atoi(os.Args[2])
		must(err)
	}
	data, err := os.ReadFile(os.Args[1])
	must(err)
	var own nodeDefaults
	must(json.Unmarshal(data, &own))
	template, err := os.MkdirTemp("", "component-values-template-")
	must(err)
	defer os.RemoveAll(template)
	layNode(template, own)

	lines := readLines()
	verdicts := make([]verdict, len(lines))
	var group sync.WaitGroup
	for job := 0; job < jobs; job++ {
		group.Add(1)
		go func(job int) {
			defer group.Done()
			root, err := os.MkdirTemp("", "component-values-")
			must(err)
			defer os.RemoveAll(root)
			must(os.CopyFS(root, os.DirFS(template)))
			var mine []int
			for at := job; at < len(lines); at += jobs {
				mine = append(mine, at)
			}
			judgeAll(root, own, lines, mine, verdicts)
		}(job)
	}
	group.Wait()
	printAll(lines, verdicts)
}

func readLines() []string {
	var lines []string
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		if strings.TrimSpace(in.Text()) != "" {
			lines = append(lines, in.Text())
		}
	}
	must(in.Err())
	return lines
}

// judgeAll judges some of the lines. A process stops where a case changed what the next would see; the next process
// takes the rest. A process that dies without an answer refuses the case that it was at.
func judgeAll(root string, own nodeDefaults, lines []string, mine []int, verdicts []verdict) {
	for len(mine) > 0 {
		var input bytes.Buffer
		for _, at := range mine {
			var one componentCase
			must(json.Unmarshal([]byte(lines[at]), &one))
			if one.Own == nil {
				one.Own = own.Flags[one.Component]
			}
			text, err := json.Marshal(one)
			must(err)
			input.Write(append(text, '\n'))
		}
		answers, lastWords := askInRoot(root, &input)
		if len(answers) < len(mine) && (len(answers) == 0 || lastWords != "") {
			answers = append(answers, verdict{Error: "the process ended: " + lastWords, Stage: "exit"})
		}
		for at, answer := range answers {
			verdicts[mine[at]] = answer
		}
		mine = mine[len(answers):]
	}
}

func printAll(lines []string, verdicts []verdict) {
	out := bufio.NewWriter(os.Stdout)
	for at, line := range lines {
		var one map[string]any
		must(json.Unmarshal([]byte(line), &one))
		one["accepted"] = verdicts[at].Accepted
		if !verdicts[at].Accepted {
			one["error"], one["stage"] = verdicts[at].Error, verdicts[at].Stage
		}
		if verdicts[at].Late != "" {
			one["late"] = verdicts[at].Late
		}
		if verdicts[at].Found != nil {
			one["found"] = verdicts[at].Found
		}
		text, err := json.Marshal(one)
		must(err)
		fmt.Fprintln(out, string(text))
	}
	must(out.Flush())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
