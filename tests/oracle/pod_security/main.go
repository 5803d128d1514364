// SPDX-License-Identifier: Apache-2.0
// pod_security answers what Kubernetes makes of a manifest: a line of JSON in, a line of JSON out.
//
//	{"text": …}   every object is decoded strictly; of each with a pod, what each level of Pod Security forbids in it
//
// {"error": …} is why an object is refused. It is built by a go.mod that the test writes for one release from Kubernetes' own
// (tests/it/support/kubernetes.rs).
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

type found struct {
	Kind string `json:"kind"`
	// Level is what a namespace enforces.
	Level string `json:"level,omitempty"`
	// Forbidden is what each level forbids in its pod.
	Forbidden map[string][]string `json:"forbidden,omitempty"`
}

type answer struct {
	Error   string  `json:"error,omitempty"`
	Objects []found `json:"objects"`
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return
		}
		var asked struct {
			Text string `json:"text"`
		}
		if err != nil || json.Unmarshal(line, &asked) != nil {
			panic("no question")
		}
		objects, err := judge(asked.Text)
		said := answer{Objects: objects}
		if err != nil {
			said.Error = err.Error()
		}
		if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
			panic(err)
		}
	}
}

func judge(text string) ([]found, error) {
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return nil, err
	}
	documents := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	var objects []found
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return objects, err
		}
		object, kind, err := strict.Decode(document, nil, nil)
		if err != nil {
			return objects, err
		}
		one := found{Kind: kind.Kind}
		if template := templateOf(object); template != nil {
			one.Forbidden = map[string][]string{}
			for _, level := range []api.Level{api.LevelPrivileged, api.LevelBaseline, api.LevelRestricted} {
				at := api.LevelVersion{Level: level, Version: api.LatestVersion()}
				for _, result := range evaluator.EvaluatePod(at, &template.ObjectMeta, &template.Spec) {
					if !result.Allowed {
						one.Forbidden[string(level)] = append(one.Forbidden[string(level)], result.ForbiddenReason)
					}
				}
			}
		}
		if namespace, ok := object.(*corev1.Namespace); ok {
			one.Level = namespace.Labels[api.EnforceLevelLabel]
		}
		objects = append(objects, one)
	}
}

func templateOf(object runtime.Object) *corev1.PodTemplateSpec {
	switch object := object.(type) {
	case *batchv1.Job:
		return &object.Spec.Template
	case *appsv1.DaemonSet:
		return &object.Spec.Template
	}
	return nil
}
