// SPDX-License-Identifier: Apache-2.0
package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

const (
	dataDir = "/var/lib/rancher/k3s/"
	// dropInFolder is where K3s has the kubelet read its configuration since 1.32.
	dropInFolder = dataDir + "agent/etc/kubelet.conf.d"
	kubeletState = "/var/lib/kubelet"
	// nodeList has the paths that are on the node at first.
	nodeList   = "/node-paths"
	kubeconfig = `apiVersion: v1
kind: Config
clusters:
- name: local
  cluster: {server: 'https://127.0.0.1:6444', insecure-skip-tls-verify: true}
contexts:
- name: default
  context: {cluster: local, user: user}
current-context: default
users:
- name: user
  user: {token: abc}
`
	egressSelector = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport:
      tcp:
        url: https://127.0.0.1:6443
        tlsConfig:
          caBundle: ` + dataDir + `server/tls/server-ca.crt
          clientKey: ` + dataDir + `server/tls/client-kube-apiserver.key
          clientCert: ` + dataDir + `server/tls/client-kube-apiserver.crt
`
)

// nodeDefaults is what K3s itself gives the components of a minor.
type nodeDefaults struct {
	// Flags has the arguments of each component.
	Flags map[string]map[string]string `json:"flags"`
	// DropIn is the kubelet's configuration that K3s writes; empty before 1.32.
	DropIn json.RawMessage `json:"drop_in,omitempty"`
}

// layNode writes what K3s puts on a node before its components start.
func layNode(root string, own nodeDefaults) {
	write := func(path string, text []byte) {
		path = filepath.Join(root, path)
		must(os.MkdirAll(filepath.Dir(path), 0o755))
		must(os.WriteFile(path, text, 0o600))
	}
	// The file of the certificate holds its CA, too; the key is the certificate's.
	cert, key, err := certutil.GenerateSelfSignedCertKey("server-0", nil, []string{"localhost"})
	must(err)
	// The CA of those who hand requests on is another one: where the two are the same, more has to be configured.
	headerCert, _, err := certutil.GenerateSelfSignedCertKey("request-header", nil, nil)
	must(err)
	accounts, err := keyutil.MakeEllipticPrivateKeyPEM()
	must(err)
	for _, path := range []string{"agent/client-ca.crt", "agent/serving-kubelet.crt", "server/tls/server-ca.crt"} {
		write(dataDir+path, cert)
	}
	write(dataDir+"agent/serving-kubelet.key", key)
	for _, flags := range own.Flags {
		for name, path := range flags {
			switch {
			case !strings.HasPrefix(path, "/"):
			case strings.HasPrefix(name, "service-account-"):
				write(path, accounts)
			case strings.HasSuffix(name, "kubeconfig"):
				write(path, []byte(kubeconfig))
			case strings.HasPrefix(name, "requestheader-"):
				write(path, headerCert)
			case strings.HasSuffix(path, ".key"):
				write(path, key)
			case strings.HasSuffix(path, ".crt"):
				write(path, cert)
			}
		}
	}
	write(dataDir+"server/etc/egress-selector-config.yaml", []byte(egressSelector))
	write(dataDir+"server/etc/cloud-config.yaml", []byte("{}\n"))
	if len(own.DropIn) > 0 {
		write(dropInFolder+"/00-k3s-defaults.conf", own.DropIn)
	}
	for _, folder := range []string{
		"/tmp", "/etc/rancher/k3s", "/run", "/dev", "/proc", "/sys/fs/cgroup", "/var/log", dataDir + "agent/pod-manifests",
		dataDir + "server/tls/temporary-certs", dataDir + "server/logs",
	} {
		must(os.MkdirAll(filepath.Join(root, folder), 0o755))
	}
	paths := []string{"/", nodeList}
	must(filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, strings.TrimPrefix(path, root))
		return err
	}))
	write(nodeList, []byte(strings.Join(paths, "\n")))
}

// nodePaths returns the paths that are on the node at first.
func nodePaths() map[string]bool {
	text, err := os.ReadFile(nodeList)
	must(err)
	known := map[string]bool{}
	for _, path := range strings.Split(string(text), "\n") {
		known[path] = true
	}
	return known
}

// cleanNode removes what cases laid and components wrote: the next case shall not find it.
func cleanNode(known map[string]bool) {
	_ = filepath.WalkDir("/", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || known[path]:
			if path == "/sys" {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			_ = os.RemoveAll(path)
			return fs.SkipDir
		}
		_ = os.Remove(path)
		return nil
	})
}

// layFiles writes a case's files.
func layFiles(files map[string]json.RawMessage) {
	for path, raw := range files {
		must(os.MkdirAll(filepath.Dir(path), 0o755))
		var text string
		if json.Unmarshal(raw, &text) == nil {
			must(os.WriteFile(path, []byte(text), 0o600))
			continue
		}
		var special struct {
			Dir  bool   `json:"dir"`
			Link string `json:"link"`
		}
		must(json.Unmarshal(raw, &special))
		if special.Dir {
			must(os.MkdirAll(path, 0o755))
		} else {
			must(os.Symlink(special.Link, path))
		}
	}
}
