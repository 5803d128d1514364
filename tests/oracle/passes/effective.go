// SPDX-License-Identifier: Apache-2.0
// These files are built together with those of tests/oracle/component_values, which start the components as far as their
// options go. They tell of each control of the benchmark whether the component meets it: from what Kubernetes' own code
// has made of arguments and files, after all defaults, not from the arguments.
package main

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"strings"

	"k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
)

// answers is what is found of a case.
type answers struct {
	// Line is the command line with which K3s starts the component.
	Line []string `json:"line"`
	// Met tells of each control that is known here whether it is met.
	Met map[string]bool `json:"met"`
}

// asked is what a case asks besides.
type asked struct {
	Benchmark string `json:"benchmark"`
}

var now = answers{Met: map[string]bool{}}

func init() {
	var heard []any
	listen = func(what any) { heard = append(heard, what) }
	found = func(one componentCase) json.RawMessage {
		var question asked
		must(json.Unmarshal(one.Asked, &question))
		now = answers{Met: map[string]bool{}}
		for _, what := range heard {
			tell(what, question)
		}
		heard = nil
		text, err := json.Marshal(now)
		must(err)
		return text
	}
}

// tell judges what a component was told, or what it has made of it.
func tell(what any, question asked) {
	if line, ok := what.(commandLine); ok {
		now.Line = line
		return
	}
	for _, judge := range []func(any, asked){tellAPIServer, tellControllerManager, tellScheduler, tellKubelet, tellProxy} {
		judge(what, question)
	}
}

func isOn(name string) bool {
	return feature.DefaultFeatureGate.Enabled(featuregate.Feature(name))
}

// isLocal tells whether only the node itself reaches an address; without an address it is every one.
func isLocal(address string) bool {
	ip := net.ParseIP(address)
	return ip != nil && ip.IsLoopback()
}

// isStrong tells whether only cipher suites with forward secrecy and authenticated encryption are offered.
func isStrong(names []string, version string) bool {
	if version == "VersionTLS13" {
		return true
	}
	insecure := map[string]bool{}
	for _, suite := range tls.InsecureCipherSuites() {
		insecure[suite.Name] = true
	}
	for _, name := range names {
		if insecure[name] || strings.Contains(name, "_CBC_") {
			return false
		}
	}
	return len(names) > 0
}
