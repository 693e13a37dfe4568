// Waits for a Deployment's annotation by the wait of kubernetes-sigs/e2e-framework, again and again, and prints for each
// time how long that was after it was written, in milliseconds.
//
// The writer is a part of it, so that both read one clock: it takes the time before it sends the write.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/e2e-framework/klient/conf"
	"sigs.k8s.io/e2e-framework/klient/k8s"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"
	"sigs.k8s.io/e2e-framework/klient/wait"
	"sigs.k8s.io/e2e-framework/klient/wait/conditions"
)

// How often the framework asks by itself.
const defaultInterval = 5 * time.Second

func main() {
	kubeconfig := flag.String("kubeconfig", "", "the kubeconfig")
	kubecontext := flag.String("context", "", "its context")
	namespace := flag.String("namespace", "", "the Deployment's namespace")
	name := flag.String("deployment", "", "the Deployment")
	annotation := flag.String("annotation", "", "the annotation")
	times := flag.Int("times", 20, "how often")
	interval := flag.Duration("interval", 0, "how often it asks; 0: its default, and the client's own limit of requests")
	flag.Parse()

	config, err := conf.NewWithContextName(*kubeconfig, *kubecontext)
	if err != nil {
		log.Fatal(err)
	}
	options, spread := []wait.Option{wait.WithTimeout(time.Minute)}, defaultInterval
	if *interval > 0 {
		spread = max(*interval, 300*time.Millisecond)
		options = append(options, wait.WithInterval(*interval), wait.WithImmediate())
		config.QPS = -1
	}
	client, err := klient.New(config)
	if err != nil {
		log.Fatal(err)
	}
	for range *times {
		took, err := once(client.Resources(*namespace), *name, *namespace, *annotation, spread, options)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(float64(took.Microseconds()) / 1000)
	}
}

func once(in *resources.Resources, name, namespace, annotation string, spread time.Duration, options []wait.Option) (time.Duration, error) {
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}
	value := strconv.FormatInt(time.Now().UnixNano(), 10)
	type written struct {
		at  time.Time
		err error
	}
	done := make(chan written, 1)
	go func() {
		// Any moment between two questions is as likely as another.
		time.Sleep(200*time.Millisecond + time.Duration(rand.Int64N(int64(spread))))
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, annotation, value)
		at := time.Now()
		err := in.Patch(context.Background(), deployment.DeepCopy(), k8s.Patch{PatchType: types.MergePatchType, Data: []byte(patch)})
		done <- written{at, err}
	}()
	matches := func(object k8s.Object) bool { return object.GetAnnotations()[annotation] == value }
	err := wait.For(conditions.New(in).ResourceMatch(deployment, matches), options...)
	end := time.Now()
	first := <-done
	if first.err != nil {
		return 0, first.err
	}
	return end.Sub(first.at), err
}
