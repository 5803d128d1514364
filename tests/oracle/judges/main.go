// SPDX-License-Identifier: Apache-2.0
// judges answers what Kubernetes itself makes of a file: a line of JSON in, a line of JSON out.
//
//	{"kind": "audit", "text": …}       the API server's audit policy
//	{"kind": "admission", "text": …}   its admission configuration, with PodSecurity and, if "plugins" has it, EventRateLimit
//	{"kind": "policy", "text": …}      every object of a manifest, decoded strictly
//	{"kind": "authentication"|"authorization"|"egress", "text": …}  the API server's configuration of that name
//	{"kind": "static", "form": …, "directory": …, "gate": …}  a directory of admission policies or webhooks, by its plugin
//	{"kind": "sysctl"}                 the kubelet's check of the kernel parameters in /proc/sys
//	{"kind": "value", "form": …, "text": …}   the value of a flag: "value" is what is read
//
// {"error": …} is why the component does not start (or the object is refused). Otherwise "dropped" says what it does
// not read and starts without, "effect" whether the file does anything at all, and "objects" what there is.
//
// It is built by a go.mod that the test writes for one release from Kubernetes' own (tests/it/support/kubernetes.rs).
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"

	"k8s.io/klog/v2"
)

type question struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
	// Plugins are those that are enabled besides the API server's own; of an admission configuration.
	Plugins []string `json:"plugins"`
	// Form is that of a value, such as quantity; of a directory, the plugin that loads it.
	Form string `json:"form"`
	// Directory is where the files are, Gate whether the feature gate of such directories is on.
	Directory string `json:"directory"`
	Gate      bool   `json:"gate"`
}

type answer struct {
	Error string `json:"error,omitempty"`
	// Dropped is what is there and not read: misspelt or repeated fields, and documents behind the first.
	Dropped string `json:"dropped,omitempty"`
	// Effect tells that an audit policy logs something, that a PodSecurity refuses a privileged pod.
	Effect  bool     `json:"effect"`
	Objects []string `json:"objects,omitempty"`
	// Value is that of a flag, as it was read.
	Value string `json:"value,omitempty"`
	// Anonymous is what an authentication configuration says of anonymous requests, if it says anything.
	Anonymous *anonymous `json:"anonymous,omitempty"`
}

type anonymous struct {
	Enabled bool     `json:"enabled"`
	Paths   []string `json:"paths"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var q question
		must(json.Unmarshal(lines.Bytes(), &q))
		var a answer
		switch q.Kind {
		case "audit":
			a = judgeAudit(q.Text)
		case "admission":
			a = judgeAdmission(q.Text, q.Plugins)
		case "policy":
			a = judgeManifest(q.Text)
		case "authentication":
			a = judgeAuthentication(q.Text)
		case "authorization":
			a = judgeAuthorization(q.Text)
		case "egress":
			a = judgeEgress(q.Text)
		case "static":
			a = judgeStatic(q.Form, q.Directory, q.Gate)
		case "sysctl":
			a = judgeKernel()
		case "value":
			a = judgeValue(q.Form, q.Text)
		default:
			must(errors.New("no such kind: " + q.Kind))
		}
		must(out.Encode(a))
	}
	must(lines.Err())
}

// warnings runs a function and returns what it logs as a warning.
func warnings(run func()) string {
	var logged bytes.Buffer
	klog.LogToStderr(false)
	klog.SetOutputBySeverity("INFO", io.Discard)
	klog.SetOutputBySeverity("WARNING", &logged)
	run()
	klog.Flush()
	return strings.TrimSpace(logged.String())
}

// failed returns the answer for an error.
func failed(err error) answer {
	return answer{Error: err.Error()}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
