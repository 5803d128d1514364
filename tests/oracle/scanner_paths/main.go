// SPDX-License-Identifier: Apache-2.0
// scanner_paths prints the lists of paths that a scanner searches, of each of its benchmarks for K3s.
//
// Its arguments are the name of the scanner, its cfg folder, and the benchmarks that are not its own. It merges
// cfg/config.yaml and cfg/k3s-cis-*/config.yaml with the library that kube-bench uses (mergeConfig in cmd/util.go), and
// walks the components of each target as getFiles does. Of each variable that a check can name, it prints a line with the
// target and the benchmarks, the paths, and behind = what stands for the variable where no path exists.
//
// A test in src/scanner/path.rs holds src/scanner/data/paths.yaml against what it printed, tests/scanner/paths.txt.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/viper"
)

// kinds are the kinds of files: the end of the variable, the key of the list, and the key of the default (TypeMap in
// cmd/util.go, and the substitutions in runChecks of cmd/common.go).
var kinds = [][3]string{
	{"conf", "confs", "defaultconf"},
	{"svc", "svc", "defaultsvc"},
	{"kubeconfig", "kubeconfig", "defaultkubeconfig"},
	{"cafile", "cafile", "defaultcafile"},
	{"datadir", "datadirs", "defaultdatadir"},
}

func main() {
	scanner, folder, others := os.Args[1], os.Args[2], os.Args[3:]
	folders, err := filepath.Glob(filepath.Join(folder, "k3s-cis-*"))
	check(err)
	benchmarks := map[string][]string{}
	for _, own := range folders {
		benchmark := strings.TrimPrefix(filepath.Base(own), "k3s-cis-")
		if slices.Contains(others, benchmark) {
			continue
		}
		config := viper.New()
		config.SetConfigFile(filepath.Join(folder, "config.yaml"))
		check(config.ReadInConfig())
		config.SetConfigFile(filepath.Join(own, "config.yaml"))
		check(config.MergeInConfig())
		for _, target := range []string{"master", "etcd", "controlplane", "node"} {
			for variable, list := range variables(config.Sub(target)) {
				key := target + " " + variable + "\n" + list
				benchmarks[key] = append(benchmarks[key], benchmark)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(benchmarks)) {
		head, list, _ := strings.Cut(key, "\n")
		fmt.Printf("%s %s: %s\n%s\n", scanner, head, strings.Join(benchmarks[key], " "), list)
	}
}

// variables returns the list of each variable of a target.
func variables(target *viper.Viper) map[string]string {
	lists := map[string]string{}
	for _, component := range target.GetStringSlice("components") {
		settings := target.Sub(component)
		if settings == nil {
			continue
		}
		for _, kind := range kinds {
			if !settings.IsSet(kind[1]) && !settings.IsSet(kind[2]) {
				continue
			}
			otherwise := component
			if settings.IsSet(kind[2]) {
				otherwise = settings.GetString(kind[2])
			}
			lines := append(settings.GetStringSlice(kind[1]), "= "+otherwise)
			lists[component+kind[0]] = "  " + strings.Join(lines, "\n  ")
		}
	}
	return lists
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
