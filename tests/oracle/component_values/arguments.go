// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/cli/globalflag"
	"k8s.io/component-base/logs"
	"k8s.io/component-base/version/verflag"
)

// leftToFile has the arguments that K3s leaves out if the user names a file that says the same.
var leftToFile = map[string]string{
	"authorization-config":  "authorization-mode",
	"authentication-config": "anonymous-auth",
}

// componentArgs returns the command line with which K3s starts the component.
func componentArgs(one componentCase) ([]string, error) {
	own, extra := map[string]string{}, one.Args
	for name, value := range one.Own {
		own[name] = value
	}
	switch one.Component {
	case "kubelet":
		if _, ok := own["config-dir"]; ok {
			var err error
			if extra, err = copyConfigArgs(extra); err != nil {
				return nil, err
			}
		}
	case "kube-apiserver":
		if err := readByK3s(extra); err != nil {
			return nil, err
		}
		for file, name := range leftToFile {
			if firstValue(file, extra) != "" {
				delete(own, name)
			}
		}
	}
	return mergedArgs(own, extra), nil
}

// readByK3s refuses what K3s refuses of the API server's arguments for its own listener: it takes the first of each
// (pkg/cli/server/server.go), as it is written, and panics where it has no value.
func readByK3s(extra []string) error {
	first := func(name string) (string, error) {
		for _, text := range extra {
			key, value, ok := strings.Cut(text, "=")
			if key == name {
				if !ok {
					return "", fmt.Errorf("panic: runtime error: index out of range [1] with length 1: %s", name)
				}
				return value, nil
			}
		}
		return "", nil
	}
	version, err := first("tls-min-version")
	if err != nil {
		return err
	}
	if _, err := cliflag.TLSVersion(version); err != nil {
		return fmt.Errorf("invalid tls-min-version: %w", err)
	}
	suites, err := first("tls-cipher-suites")
	if err != nil || suites == "" {
		return err
	}
	names := strings.Split(suites, ",")
	for at := range names {
		names[at] = strings.TrimSpace(names[at])
	}
	if names[0] == "" {
		return nil
	}
	if _, err := cliflag.TLSCipherSuites(names); err != nil {
		return fmt.Errorf("invalid tls-cipher-suites: %w", err)
	}
	return nil
}

// copyConfigArgs does what K3s does since 1.32 (extractConfigArgs in pkg/daemons/agent): it takes config and
// config-dir out of the kubelet's arguments, and copies what they name to the folder of drop-ins.
func copyConfigArgs(extra []string) ([]string, error) {
	var args []string
	taken := map[string]string{}
	for at := 0; at < len(extra); at++ {
		text := extra[at]
		name, value, ok := strings.Cut(strings.TrimPrefix(text, "--"), "=")
		if !ok && at+1 < len(extra) {
			at++
			value = extra[at]
		}
		switch name {
		case "config", "config-dir":
			if value == "" {
				return nil, fmt.Errorf("value required for kubelet-arg --%s", name)
			}
			taken[name] = value
		default:
			args = append(args, text)
		}
	}
	if from := taken["config"]; from != "" && !strings.HasPrefix(from, dropInFolder) {
		data, err := os.ReadFile(from)
		if err != nil {
			return nil, fmt.Errorf("copy config %q: %w", from, err)
		}
		must(os.WriteFile(filepath.Join(dropInFolder, "10-cli-config.conf"), data, 0o600))
	}
	if from := taken["config-dir"]; from != "" && !strings.HasPrefix(from, dropInFolder) {
		to := filepath.Join(dropInFolder, "20-cli-config-dir")
		info, err := os.Stat(from)
		if err != nil {
			return nil, fmt.Errorf("copy config-dir %q: %w", from, err)
		}
		if info.IsDir() {
			return args, os.CopyFS(to, os.DirFS(from))
		}
		data, err := os.ReadFile(from)
		if err != nil {
			return nil, err
		}
		must(os.WriteFile(to, data, 0o600))
	}
	return args, nil
}

// firstValue returns the first value of an argument (util.GetArgValue of K3s).
func firstValue(name string, extra []string) string {
	for _, text := range extra {
		key, value, _ := strings.Cut(strings.TrimPrefix(text, "--"), "=")
		if key == name {
			return value
		}
	}
	return ""
}

// mergedArgs puts the user's arguments over K3s' own (util.GetArgs of K3s).
func mergedArgs(own map[string]string, extra []string) []string {
	all := map[string][]string{}
	for _, text := range extra {
		name, value, ok := strings.Cut(strings.TrimPrefix(text, "--"), "=")
		if !ok {
			value = "true"
		}
		plain := strings.TrimRight(name, "-+")
		var first []string
		if default_, ok := own[plain]; ok {
			first = []string{default_}
		}
		known := all[plain]
		var values []string
		switch {
		case strings.HasSuffix(name, "+"):
			values = append(append(append(values, first...), known...), value)
		case strings.HasSuffix(name, "-"):
			values = append(append(append(values, value), first...), known...)
		default:
			values = append(append(values, known...), value)
		}
		delete(own, plain)
		all[plain] = values
	}
	for name, value := range own {
		all[name] = []string{value}
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	var args []string
	for _, name := range names {
		for _, value := range all[name] {
			args = append(args, "--"+strings.TrimPrefix(name, "--")+"="+value)
		}
	}
	return args
}

// parse reads a command line as the component's command does in K3s: without component-base/cli, which would take
// underscores for dashes.
func parse(name string, sets cliflag.NamedFlagSets, args []string) error {
	verflag.AddFlags(sets.FlagSet("global"))
	globalflag.AddGlobalFlags(sets.FlagSet("global"), name, logs.SkipLoggingConfigurationFlags())
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, set := range sets.FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	return refuseWords(flags)
}

func refuseWords(flags *pflag.FlagSet) error {
	for _, word := range flags.Args() {
		if word != "" {
			return fmt.Errorf("does not take any arguments, got %q", flags.Args())
		}
	}
	return nil
}
