// SPDX-License-Identifier: Apache-2.0
package main

import "k8s.io/kubernetes/cmd/kube-controller-manager/names"

// The controllers of cmd/kube-controller-manager/app, whose import would build all of them. Newer ones are in minor_*.go.

var disabledControllers = []string{names.BootstrapSignerController, names.TokenCleanerController}

// unaliasedControllers are those without a second, older name.
var unaliasedControllers = []string{
	names.ServiceCIDRController, names.TaintEvictionController, names.ValidatingAdmissionPolicyStatusController,
}

var controllerAliases = map[string]string{
	"attachdetach":                         names.PersistentVolumeAttachDetachController,
	"bootstrapsigner":                      names.BootstrapSignerController,
	"clusterrole-aggregation":              names.ClusterRoleAggregationController,
	"cronjob":                              names.CronJobController,
	"csrapproving":                         names.CertificateSigningRequestApprovingController,
	"csrcleaner":                           names.CertificateSigningRequestCleanerController,
	"csrsigning":                           names.CertificateSigningRequestSigningController,
	"daemonset":                            names.DaemonSetController,
	"deployment":                           names.DeploymentController,
	"disruption":                           names.DisruptionController,
	"endpoint":                             names.EndpointsController,
	"endpointslice":                        names.EndpointSliceController,
	"endpointslicemirroring":               names.EndpointSliceMirroringController,
	"ephemeral-volume":                     names.EphemeralVolumeController,
	"garbagecollector":                     names.GarbageCollectorController,
	"horizontalpodautoscaling":             names.HorizontalPodAutoscalerController,
	"job":                                  names.JobController,
	"legacy-service-account-token-cleaner": names.LegacyServiceAccountTokenCleanerController,
	"namespace":                            names.NamespaceController,
	"nodeipam":                             names.NodeIpamController,
	"nodelifecycle":                        names.NodeLifecycleController,
	"persistentvolume-binder":              names.PersistentVolumeBinderController,
	"persistentvolume-expander":            names.PersistentVolumeExpanderController,
	"podgc":                                names.PodGarbageCollectorController,
	"pv-protection":                        names.PersistentVolumeProtectionController,
	"pvc-protection":                       names.PersistentVolumeClaimProtectionController,
	"replicaset":                           names.ReplicaSetController,
	"replicationcontroller":                names.ReplicationControllerController,
	"resource-claim-controller":            names.ResourceClaimController,
	"resourcequota":                        names.ResourceQuotaController,
	"root-ca-cert-publisher":               names.RootCACertificatePublisherController,
	"serviceaccount":                       names.ServiceAccountController,
	"serviceaccount-token":                 names.ServiceAccountTokenController,
	"statefulset":                          names.StatefulSetController,
	"storage-version-gc":                   names.StorageVersionGarbageCollectorController,
	"tokencleaner":                         names.TokenCleanerController,
	"ttl":                                  names.TTLController,
	"ttl-after-finished":                   names.TTLAfterFinishedController,
}

func knownControllers() []string {
	known := append([]string{}, unaliasedControllers...)
	for _, name := range controllerAliases {
		known = append(known, name)
	}
	return known
}
