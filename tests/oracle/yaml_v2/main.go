// SPDX-License-Identifier: Apache-2.0
// yaml_v2 answers what K3s reads in a configuration file: gopkg.in/yaml.v2 into a MapSlice, and of every value
// the text that K3s puts on its command line.
//
// It reads a line of JSON for each file, {"text": "..."}, and prints a line: {"pairs": [...]} with the key, the
// key's type and its items, or {"error": "..."}. tests/it/yaml_v2 compares them with this crate's reader.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"gopkg.in/yaml.v2"
)

type question struct {
	Text string `json:"text"`
}

type answer struct {
	Error string `json:"error,omitempty"`
	Pairs []pair `json:"pairs"`
}

type pair struct {
	Key  item `json:"key"`
	List bool `json:"list"`
	// Items are the values of a list one by one, or the one value.
	Items []item `json:"items"`
}

type item struct {
	// Type is the Go type of the value.
	Type string `json:"type"`
	Text string `json:"text"`
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	decoder, encoder := json.NewDecoder(in), json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for decoder.More() {
		var asked question
		if err := decoder.Decode(&asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := encoder.Encode(read(asked.Text)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// read is readConfigFile of K3s' pkg/configfilearg, up to the merge of its keys.
func read(text string) (result answer) {
	// A panic of the library ends K3s as an error does.
	defer func() {
		if problem := recover(); problem != nil {
			result = answer{Error: fmt.Sprint("panic: ", problem)}
		}
	}()
	values := yaml.MapSlice{}
	if err := yaml.Unmarshal([]byte(text), &values); err != nil {
		return answer{Error: err.Error()}
	}
	pairs := make([]pair, 0, len(values))
	for _, value := range values {
		pairs = append(pairs, pairOf(value))
	}
	return answer{Pairs: pairs}
}

func pairOf(value yaml.MapItem) pair {
	result := pair{Key: itemOf(value.Key), Items: []item{}}
	if list, ok := value.Value.([]interface{}); ok {
		result.List = true
		for _, element := range list {
			result.Items = append(result.Items, itemOf(element))
		}
	} else {
		result.Items = append(result.Items, itemOf(value.Value))
	}
	return result
}

func itemOf(value interface{}) item {
	return item{Type: fmt.Sprintf("%T", value), Text: toString(value)}
}

// toString is convert.ToString of rancher/wrangler.
func toString(value interface{}) string {
	if list, ok := value.([]interface{}); ok {
		if len(list) == 0 {
			return ""
		}
		value = list[0]
	}
	if value == nil {
		return ""
	}
	return strings.TrimSpace(fmt.Sprint(value))
}
