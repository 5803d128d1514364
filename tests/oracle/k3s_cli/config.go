// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v2"
)

// words returns what K3s puts behind the command for its configuration files (pkg/configfilearg of K3s): the keys in the
// order in which they come first; the last file that has one wins, or adds to it where its key ends in a plus.
func words(files []string) ([]string, error) {
	var order []string
	values := map[string][]any{}
	for _, text := range files {
		var read yaml.MapSlice
		if err := yaml.Unmarshal([]byte(text), &read); err != nil {
			return nil, err
		}
		for _, item := range read {
			key, list := asText(item.Key), []any{item.Value}
			if many, ok := item.Value.([]any); ok {
				list = many
			}
			plain := strings.TrimSuffix(key, "+")
			old, known := values[plain]
			if !known {
				order = append(order, plain)
			}
			if plain != key {
				list = append(append([]any{}, old...), list...)
			}
			values[plain] = list
		}
	}
	var all []string
	for _, key := range order {
		dashes := "--"
		if len(key) == 1 {
			dashes = "-"
		}
		for _, value := range values[key] {
			all = append(all, dashes+key+"="+asText(value))
		}
	}
	return all, nil
}

func asText(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}
