// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	logsapi "k8s.io/component-base/logs/api/v1"
)

const (
	// answerMark begins each answer: Kubernetes writes to the standard output, too.
	answerMark = "VERDICT "
	// patience is how long one case may take.
	patience = 90 * time.Second
	// late is the stage after the options were taken: what fails there is told apart.
	late = "late"
	// casesPerProcess limits what goroutines and listeners of earlier cases take.
	casesPerProcess = 60
)

// askInRoot has a process in a root directory judge cases, and returns its answers; if it ended with an error, also
// the last that it said.
func askInRoot(root string, input io.Reader) ([]verdict, string) {
	command := exec.Command("/proc/self/exe", "in-root", root)
	command.Stdin = input
	var said bytes.Buffer
	command.Stderr = &said
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Unshareflags: syscall.CLONE_NEWNS}
	pipe, err := command.StdoutPipe()
	must(err)
	must(command.Start())
	watch := time.AfterFunc(patience, func() { _ = command.Process.Kill() })
	var answers []verdict
	lines := bufio.NewScanner(pipe)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		watch.Reset(patience)
		if text, ok := strings.CutPrefix(lines.Text(), answerMark); ok {
			var one verdict
			must(json.Unmarshal([]byte(text), &one))
			answers = append(answers, one)
		}
	}
	watch.Stop()
	if err := command.Wait(); err != nil {
		return answers, fmt.Sprintf("%v: %s", err, lastWords(said.String()))
	}
	return answers, ""
}

// lastWords returns the line with which klog ended a process, or else the begin and the end of all that it said.
func lastWords(said string) string {
	lines := strings.Split(said, "\n")
	for at := len(lines) - 1; at >= 0; at-- {
		if line := lines[at]; len(line) > 1 && line[0] == 'F' && line[1] >= '0' && line[1] <= '9' {
			return line
		}
	}
	if len(said) > 600 {
		return said[:300] + " … " + said[len(said)-300:]
	}
	return said
}

// answerInRoot judges cases in the root directory, and ends where the next case needs a new process.
func answerInRoot(root string) {
	answers := os.Stdout
	os.Stdout = os.Stderr
	enableLoopback()
	// The node has cgroups v2, whatever this machine has.
	if err := syscall.Mount("none", filepath.Join(root, "sys/fs/cgroup"), "cgroup2", 0, ""); err != nil {
		fmt.Fprintln(os.Stderr, "no cgroup2:", err)
	}
	must(syscall.Chroot(root))
	must(os.Chdir("/var/lib/rancher/k3s/server"))
	known := nodePaths()
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for count := 0; count <= casesPerProcess; count++ {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var one componentCase
		must(json.Unmarshal(line, &one))
		global := changesProcess(one)
		if global && count > 0 {
			return
		}
		cleanNode(known)
		layFiles(one.Files)
		stage := "flags"
		err = askSafely(one, &stage)
		answer := verdict{Accepted: err == nil}
		switch {
		case err == nil:
		case stage == late:
			answer = verdict{Accepted: true, Late: err.Error()}
		default:
			answer.Error, answer.Stage = err.Error(), stage
		}
		answer.Found = found(one)
		text, err2 := json.Marshal(answer)
		must(err2)
		fmt.Fprintf(answers, "%s%s\n", answerMark, text)
		// A component that was refused late may still hold a port.
		if global || (err != nil && (stage == "config" || stage == "setup" || stage == "panic" || stage == late)) {
			return
		}
	}
}

// changesProcess tells whether a case sets what belongs to the whole process: feature gates, logging, metrics, the
// version that is emulated.
func changesProcess(one componentCase) bool {
	for _, text := range one.Args {
		name, _, _ := strings.Cut(text, "=")
		for _, word := range []string{"feature-gates", "emulat", "compatib", "log", "vmodule", "metric"} {
			if strings.Contains(name, word) {
				return true
			}
		}
		if strings.Trim(name, "-+") == "v" {
			return true
		}
	}
	for _, text := range one.Files {
		lower := strings.ToLower(string(text))
		if strings.Contains(lower, "featuregates") || strings.Contains(lower, "logging") {
			return true
		}
	}
	return false
}

// askSafely takes a panic for a refusal: the component would end as well.
func askSafely(one componentCase, stage *string) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			*stage = "panic"
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	ask, ok := components[one.Component]
	if !ok {
		return fmt.Errorf("there is no component %s", one.Component)
	}
	*stage = "k3s"
	args, err := componentArgs(one)
	if err != nil {
		return err
	}
	listen(commandLine(args))
	*stage = "flags"
	return ask(context.Background(), args, stage)
}

func enableLoopback() {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	must(err)
	request, err := unix.NewIfreq("lo")
	must(err)
	request.SetUint16(unix.IFF_UP)
	must(unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request))
	must(unix.Close(socket))
}
