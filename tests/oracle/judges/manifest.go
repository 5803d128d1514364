// SPDX-License-Identifier: Apache-2.0
// The objects of a manifest, decoded strictly into Kubernetes' own types; and the documents of a file, of which the
// API server reads the first.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	goyaml "go.yaml.in/yaml/v2"
)

func judgeManifest(text string) answer {
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	a := answer{Effect: true}
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return a
		}
		if err != nil {
			return failed(err)
		}
		if isEmpty(document) {
			continue
		}
		object, kind, err := strict.Decode(document, nil, nil)
		if err != nil {
			return failed(err)
		}
		found, err := meta.Accessor(object)
		if err != nil {
			return failed(err)
		}
		name := fmt.Sprintf("%s %s/%s", kind.Kind, found.GetNamespace(), found.GetName())
		a.Objects = append(a.Objects, name)
	}
}

// unread returns what stands behind the first document.
func unread(text string) string {
	decoder := goyaml.NewDecoder(strings.NewReader(text))
	var first interface{}
	if decoder.Decode(&first) != nil {
		return ""
	}
	for {
		var next interface{}
		err := decoder.Decode(&next)
		if errors.Is(err, io.EOF) {
			return ""
		}
		if err != nil || next != nil {
			return "a second document"
		}
	}
}

func isEmpty(document []byte) bool {
	var any interface{}
	return goyaml.Unmarshal(bytes.TrimSpace(document), &any) == nil && any == nil
}
