// SPDX-License-Identifier: Apache-2.0
// registries answers what K3s makes of a registries.yaml: the reader of rancher/wharfie.
//
// It reads a line of JSON for each file, {"text": "..."}, and prints a line: {"error": "..."}, empty where wharfie takes
// the file. tests/it/registries compares them with this crate's reader.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rancher/wharfie/pkg/registries"
	"github.com/sirupsen/logrus"
)

type question struct {
	Text string `json:"text"`
}

type answer struct {
	Error string `json:"error"`
}

func main() {
	logrus.SetOutput(io.Discard)
	folder, err := os.MkdirTemp("", "registries")
	if err != nil {
		fail(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "registries.yaml")
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	decoder, encoder := json.NewDecoder(bufio.NewReaderSize(os.Stdin, 1<<20)), json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for decoder.More() {
		var asked question
		if err := decoder.Decode(&asked); err != nil {
			fail(err)
		}
		if err := os.WriteFile(path, []byte(asked.Text), 0o600); err != nil {
			fail(err)
		}
		if err := encoder.Encode(read(path)); err != nil {
			fail(err)
		}
	}
}

func read(path string) (result answer) {
	// A panic of the library ends K3s as an error does.
	defer func() {
		if problem := recover(); problem != nil {
			result = answer{Error: fmt.Sprint("panic: ", problem)}
		}
	}()
	if _, err := registries.GetPrivateRegistries(path); err != nil {
		return answer{Error: err.Error()}
	}
	return answer{}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
