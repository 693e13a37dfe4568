package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/cli"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v11/controller"
)

const (
	// The name that Kind's storage class has, so that charts and claims made for it work here.
	volumesProvisioner = "rancher.io/local-path"
	volumesFolder      = "/var/local-path-provisioner"
)

// localVolumes gives each claim a folder of the only node, which it sees at the same path.
type localVolumes struct{ node string }

// runVolumes provisions volumes until it is told to end; NODE_NAME is the node that it runs on.
func runVolumes() int {
	return cli.Run(&cobra.Command{
		Use:          "local-volumes",
		Short:        "Provisions volumes as folders of the node",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(*cobra.Command, []string) error {
			node := os.Getenv("NODE_NAME")
			if node == "" {
				return errors.New("NODE_NAME is not set")
			}
			config, err := rest.InClusterConfig()
			if err != nil {
				return fmt.Errorf("no configuration of the cluster: %w", err)
			}
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				return fmt.Errorf("no client of the cluster: %w", err)
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			controller.NewProvisionController(ctx, client, volumesProvisioner,
				localVolumes{node}, controller.LeaderElection(false)).Run(ctx)
			return nil
		},
	})
}

// Provision makes the folder. A node that is not ours, or a selector, is an error for good.
func (v localVolumes) Provision(_ context.Context, options controller.ProvisionOptions) (*core.PersistentVolume, controller.ProvisioningState, error) {
	claim := options.PVC
	if claim.Spec.Selector != nil {
		return nil, controller.ProvisioningFinished, errors.New("a claim with a selector is not supported")
	}
	if options.SelectedNode != nil && options.SelectedNode.Name != v.node {
		return nil, controller.ProvisioningFinished, fmt.Errorf("node %s is not served, only %s", options.SelectedNode.Name, v.node)
	}
	folder := filepath.Join(volumesFolder, strings.Join([]string{options.PVName, claim.Namespace, claim.Name}, "_"))
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	// Whatever the umask: a pod may run as any user.
	if err := os.Chmod(folder, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	kind := core.HostPathDirectoryOrCreate
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: options.PVName},
		Spec: core.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    claim.Spec.VolumeMode,
			Capacity:                      core.ResourceList{core.ResourceStorage: claim.Spec.Resources.Requests[core.ResourceStorage]},
			MountOptions:                  options.StorageClass.MountOptions,
			PersistentVolumeSource:        core.PersistentVolumeSource{HostPath: &core.HostPathVolumeSource{Path: folder, Type: &kind}},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{{
				MatchExpressions: []core.NodeSelectorRequirement{{Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{v.node}}},
			}}}},
		},
	}, controller.ProvisioningFinished, nil
}

// Delete removes the folder, and refuses to remove anything else.
func (v localVolumes) Delete(_ context.Context, volume *core.PersistentVolume) error {
	source := volume.Spec.HostPath
	if source == nil || filepath.Dir(filepath.Clean(source.Path)) != volumesFolder {
		return fmt.Errorf("volume %s is not a folder of %s", volume.Name, volumesFolder)
	}
	return os.RemoveAll(source.Path)
}
