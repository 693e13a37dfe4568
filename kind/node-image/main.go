// Every program of a one-node cluster in one binary: which one runs is told by the name that it
// is called by, or by its first argument. What they share is compiled, linked and stored once.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	_ "time/tzdata" // time zones of CronJobs

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app"
	kubeadmerrors "k8s.io/kubernetes/cmd/kubeadm/app/util/errors"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// Each gets os.Args with its own name in front, and returns its exit status.
var programs = map[string]func() int{
	"kube-apiserver":          command(func() *cobra.Command { return apiserver.NewAPIServerCommand() }),
	"kube-controller-manager": command(controllers.NewControllerManagerCommand),
	"kube-scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kube-proxy":              command(proxy.NewProxyCommand),
	"kubelet":                 command(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
	"kubeadm":                 runKubeadm,
	"kubectl":                 runKubectl,
	"etcd":                    runEtcd,
	"coredns":                 runDNS,
	"local-volumes":           runVolumes,
}

func main() {
	name := filepath.Base(os.Args[0])
	program, found := programs[name]
	if !found && len(os.Args) > 1 {
		os.Args = os.Args[1:]
		name = os.Args[0]
		program, found = programs[name]
	}
	if !found {
		fmt.Fprintf(os.Stderr, "no program is called %q; there are: %s\n", name, strings.Join(names(), ", "))
		os.Exit(2)
	}
	if name != "coredns" {
		hideDNSFlags()
	}
	os.Exit(program())
}

func names() []string {
	all := make([]string, 0, len(programs))
	for name := range programs {
		all = append(all, name)
	}
	sort.Strings(all)
	return all
}

func command(create func() *cobra.Command) func() int {
	return func() int { return cli.Run(create()) }
}

func runKubeadm() int {
	kubeadmerrors.HandleError(kubeadm.Run())
	return 0
}

func runKubectl() int {
	// Before the command is made, since making it logs already.
	_, _ = logs.GlogSetter(cmd.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
	return 0
}

func runEtcd() int {
	etcdmain.Main(os.Args)
	return 0
}

// hideDNSFlags takes CoreDNS' flags, registered when the process starts, out of the set that
// kubectl and kubeadm add to their own: `-p` there is another one.
func hideDNSFlags() {
	rest := flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	flag.VisitAll(func(f *flag.Flag) {
		switch f.Name {
		case "conf", "plugins", "pidfile", "version", "quiet", "dns.port", "p":
		default:
			rest.Var(f.Value, f.Name, f.Usage)
		}
	})
	flag.CommandLine = rest
}
