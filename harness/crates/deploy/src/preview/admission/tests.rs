use rstest::rstest;
use serde_json::json;

use super::*;
use crate::artifacts::ArtifactSet;

fn limits() -> Limits {
    let values = json!({
        "ingress": {"className": "alb", "annotations": {"alb.ingress.kubernetes.io/scheme": "internal"},
            "sources": [{"ipBlock": {"cidr": "10.0.0.0/20"}}]},
        "backend": {"storage": {"roleArn": "arn:aws:iam::1:role/own", "peers": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]},
            "database": {"external": {"peers": [{"ipBlock": {"cidr": "10.0.32.0/24", "except": ["10.0.32.1/32"]}}]}}},
    });
    let of = PullRequest::parse("7").unwrap();
    let mut limits = Limits::new(of, &ArtifactSet::placeholder(), &values, vec!["shop-stores-ca-1".to_owned()]);
    limits.retaining = vec!["kept".to_owned()];
    limits
}

fn image() -> String {
    limits().images.first().unwrap().clone()
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    if !parent.is_empty() && object.pointer(parent).is_none() {
        set(object, parent, json!({}));
    }
    match object.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        map => map[key] = value,
    }
}

/// A Deployment that is taken.
fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "it"}, "spec": {"template": {"spec": {
        "automountServiceAccountToken": false,
        "terminationGracePeriodSeconds": 20,
        "containers": [{"name": "c", "image": image()}],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }}}})
}

fn refused(object: Value) -> String {
    objects(&limits(), &[object]).unwrap_err().report()
}

#[rstest]
#[case::cluster_scoped(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}), "ClusterRole is no kind")]
#[case::a_role(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}), "RoleBinding is no kind")]
#[case::a_namespace(json!({"apiVersion": "v1", "kind": "Namespace"}), "Namespace is no kind")]
#[case::a_secret(json!({"apiVersion": "v1", "kind": "Secret"}), "Secret is no kind")]
#[case::a_pod(json!({"apiVersion": "v1", "kind": "Pod"}), "Pod is no kind")]
#[case::a_definition(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}), "no kind")]
#[case::unknown(json!({"apiVersion": "example.org/v1", "kind": "Deployment"}), "no kind")]
#[case::a_list(json!({"apiVersion": "v1", "kind": "List", "items": []}), "no kind")]
#[case::no_object(json!("text"), "no kind")]
#[case::elsewhere(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop-pr-8"}}), "not for shop-pr-7")]
#[case::hook(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"annotations": {"helm.sh/hook": "pre-install"}}}), "a hook")]
#[case::finalizer(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"finalizers": ["a/b"]}}), "field finalizers")]
#[case::owner(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"ownerReferences": [{}]}}), "field ownerReferences")]
#[case::kept(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"annotations": {"helm.sh/resource-policy": "keep"}}}), "helm.sh/resource-policy")]
#[case::reflected(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"annotations": {"reflector.v1.k8s.emberstack.com/reflection-auto-enabled": "true"}}}), "its annotation")]
#[case::injected(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"labels": {"sidecar.istio.io/inject": "true"}}}), "somebody else's")]
#[case::status(json!({"apiVersion": "v1", "kind": "Service", "status": {}}), "field status")]
#[case::production_host(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"rules": [{"host": "app.shop.ai"}]}}), "its host is \"app.shop.ai\"")]
#[case::another_pr(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"tls": [{"hosts": ["pr-8.app.shop.ai"]}]}}), "pr-8.app")]
#[case::no_host(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"rules": [{"http": {}}]}}), "its host is null")]
#[case::every_host(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"defaultBackend": {}}}), "every host")]
#[case::another_class(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"ingressClassName": "public"}}), "its class is \"public\"")]
#[case::dns_record(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"annotations": {"external-dns.alpha.kubernetes.io/hostname": "app.shop.ai"}}, "spec": {"ingressClassName": "alb"}}), "external-dns")]
#[case::another_value(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"annotations": {"alb.ingress.kubernetes.io/scheme": "internet-facing"}}, "spec": {"ingressClassName": "alb"}}), "scheme=\"internet-facing\"")]
#[case::resource_backend(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"ingressClassName": "alb", "rules": [{"host": "pr-7.app.shop.ai", "http": {"paths": [{"backend": {"resource": {}}}]}}]}}), "field resource")]
#[case::node_port(json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "NodePort"}}), "its type is NodePort")]
#[case::external_name(json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "ExternalName"}}), "its type is ExternalName")]
#[case::external_address(json!({"apiVersion": "v1", "kind": "Service", "spec": {"externalIPs": ["10.0.0.1"]}}), "externalIPs")]
#[case::address(json!({"apiVersion": "v1", "kind": "Service", "spec": {"clusterIP": "10.96.0.10"}}), "it takes the address")]
#[case::load_balancer(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"annotations": {"service.beta.kubernetes.io/aws-load-balancer-type": "external"}}}), "its annotation")]
#[case::role(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/admin"}}}), "role/admin")]
#[case::pull_secret(json!({"apiVersion": "v1", "kind": "ServiceAccount", "imagePullSecrets": [{"name": "shop-auth"}]}), "not by shop-pull")]
#[case::mounts_a_secret(json!({"apiVersion": "v1", "kind": "ServiceAccount", "secrets": [{"name": "shop-pull"}]}), "field secrets")]
fn an_object_is_refused(#[case] mut object: Value, #[case] says: &str) {
    if object.is_object() {
        object["metadata"]["name"] = "it".into();
    }
    let error = refused(object);
    assert!(error.contains(says) && error.contains("nothing was applied"), "{error}");
}

#[test]
fn a_reserved_name_and_a_name_that_stands_twice_are_refused() {
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    assert!(refused(map("shop-preview-x")).contains("the harness's own"));
    let twice = objects(&limits(), &[map("a"), map("a")]).unwrap_err().report();
    assert!(twice.contains("it stands twice"), "{twice}");
}

#[rstest]
#[case::foreign_image("/containers/0/image", json!("evil.example/x@sha256:0"), "its image is")]
#[case::tag("/containers/0/image", json!("backend:latest"), "its image is")]
#[case::no_image("/containers/0/image", json!(null), "its image is null")]
#[case::init("/initContainers", json!([{"name": "i", "image": "x"}]), "container i: its image is")]
#[case::ephemeral("/ephemeralContainers", json!([{"name": "e"}]), "field ephemeralContainers")]
#[case::token("/automountServiceAccountToken", json!(true), "token of the cluster's API")]
#[case::token_by_default("/automountServiceAccountToken", json!(null), "token of the cluster's API")]
#[case::grace("/terminationGracePeriodSeconds", json!(86400), "86400 s to end")]
#[case::priority("/priorityClassName", json!("system-node-critical"), "field priorityClassName")]
#[case::node("/nodeName", json!("n"), "field nodeName")]
#[case::host_network("/hostNetwork", json!(true), "field hostNetwork")]
#[case::tolerations("/tolerations", json!([{"operator": "Exists"}]), "field tolerations")]
#[case::scheduler("/schedulerName", json!("mine"), "field schedulerName")]
#[case::runtime("/runtimeClassName", json!("mine"), "field runtimeClassName")]
#[case::pulls("/imagePullSecrets", json!([{"name": "preview-pull"}]), "by the Secret \"preview-pull\"")]
#[case::host_path("/volumes/0", json!({"name": "v", "hostPath": {"path": "/"}}), "field hostPath")]
#[case::image_volume("/volumes/0", json!({"name": "v", "image": {"reference": "x"}}), "field image")]
#[case::csi("/volumes/0", json!({"name": "v", "csi": {"driver": "x"}}), "field csi")]
#[case::nfs("/volumes/0", json!({"name": "v", "nfs": {"server": "x"}}), "field nfs")]
#[case::pull_secret_as_a_volume("/volumes/0", json!({"name": "v", "secret": {"secretName": "shop-pull"}}), "the Secret \"shop-pull\"")]
#[case::projected_secret("/volumes/0", json!({"name": "v", "projected": {"sources": [{"secret": {"name": "shop-pull"}}]}}), "the Secret \"shop-pull\"")]
#[case::audience("/volumes/0", json!({"name": "v", "projected": {"sources": [{"serviceAccountToken": {"audience": "vault", "path": "t"}}]}}), "the audience \"vault\"")]
#[case::api_audience("/volumes/0", json!({"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}), "the audience null")]
#[case::pull_secret_as_a_variable("/containers/0/env", json!([{"name": "V", "valueFrom": {"secretKeyRef": {"name": "shop-pull", "key": ".dockerconfigjson"}}}]), "variable V: it reads the Secret \"shop-pull\"")]
#[case::helms_secret("/containers/0/envFrom", json!([{"secretRef": {"name": "sh.helm.release.v1.shop.v1"}}]), "sh.helm.release")]
#[case::file_variable("/containers/0/env", json!([{"name": "V", "valueFrom": {"fileKeyRef": {}}}]), "field fileKeyRef")]
#[case::host_port("/containers/0/ports", json!([{"containerPort": 80, "hostPort": 80}]), "the node's port 80")]
#[case::devices("/containers/0/volumeDevices", json!([{"name": "v"}]), "field volumeDevices")]
#[case::probe("/containers/0/livenessProbe", json!({"httpGet": {"host": "169.254.169.254", "port": 80}}), "its livenessProbe lets the node ask \"169.254.169.254\"")]
#[case::socket("/containers/0/startupProbe", json!({"tcpSocket": {"host": "10.0.0.1", "port": 80}}), "its startupProbe lets the node ask")]
#[case::hook("/containers/0/lifecycle", json!({"postStart": {"httpGet": {"host": "10.0.0.1", "port": 80}}}), "its postStart lets the node ask")]
#[case::host_header("/containers/0/readinessProbe", json!({"httpGet": {"port": 80, "httpHeaders": [{"name": "HOST", "value": "x"}]}}), "sends the header")]
#[case::slow_probe("/containers/0/livenessProbe", json!({"terminationGracePeriodSeconds": 9999}), "9999 s to end")]
fn a_pod_is_refused(#[case] pointer: &str, #[case] value: Value, #[case] says: &str) {
    let mut object = deployment();
    set(&mut object, &format!("/spec/template/spec{pointer}"), value.clone());
    let error = refused(object.clone());
    assert!(error.contains(says), "{error}");
    // Wherever a pod comes from.
    let pod = object["spec"].take();
    let job = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "it"}, "spec": {"jobTemplate": {"spec": pod}}});
    assert!(refused(job).contains(says));
}

#[rstest]
#[case::kept("kept", false)]
#[case::another("gp3", true)]
fn a_claim_that_stays_is_refused(#[case] class: &str, #[case] taken: bool) {
    let claim = json!({"metadata": {"name": "data"}, "spec": {"storageClassName": class, "resources": {}}});
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "it"},
        "spec": {"volumeClaimTemplates": [claim], "template": deployment()["spec"]["template"]}});
    assert_eq!(objects(&limits(), std::slice::from_ref(&set)).is_ok(), taken);
    let mut bound = set;
    bound["spec"]["volumeClaimTemplates"][0]["spec"]["volumeName"] = "production".into();
    bound["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = "gp3".into();
    assert!(refused(bound).contains("field volumeName"));
}

#[test]
fn a_default_class_that_keeps_is_refused_where_no_class_is_named() {
    let claim = json!({"metadata": {"name": "data"}, "spec": {"resources": {}}});
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "it"},
        "spec": {"volumeClaimTemplates": [claim], "template": deployment()["spec"]["template"]}});
    objects(&limits(), std::slice::from_ref(&set)).unwrap();
    let strict = Limits { default_retains: true, ..limits() };
    assert!(objects(&strict, &[set]).unwrap_err().report().contains("keeps what a volume held"));
}

#[test]
fn what_a_preview_is_made_of_is_taken() {
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "it", "annotations": {"alb.ingress.kubernetes.io/scheme": "internal"}}, "spec": {
        "ingressClassName": "alb",
        "rules": [{"host": "pr-7.app.shop.ai"}], "tls": [{"hosts": ["pr-7.app.shop.ai"]}]}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "it"}, "spec": {"ports": []}});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "imagePullSecrets": [{"name": "shop-pull"}],
        "metadata": {"name": "it", "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/own"}}});
    objects(&limits(), &[ingress, service, account, deployment()]).unwrap();
}

#[rstest]
#[case::nobody(json!([]), true)]
#[case::everybody(json!([{}]), false)]
#[case::whole_network(json!([{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]), false)]
#[case::but_for_it(json!([{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}]}]), true)]
#[case::but_for_a_part(json!([{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]}}]}]), false)]
#[case::metadata(json!([{"to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}]}]), false)]
#[case::pod_identity(json!([{"to": [{"ipBlock": {"cidr": "169.254.170.23/32"}}]}]), true)]
#[case::stores(json!([{"to": [{"ipBlock": {"cidr": "10.0.32.0/24", "except": ["10.0.32.1/32"]}}]}]), true)]
#[case::stores_and_more(json!([{"to": [{"ipBlock": {"cidr": "10.0.32.0/24"}}]}]), false)]
#[case::nodes(json!([{"to": [{"ipBlock": {"cidr": "10.0.0.0/16"}}]}]), false)]
#[case::version_six(json!([{"to": [{"ipBlock": {"cidr": "::/0"}}]}]), false)]
#[case::unreadable(json!([{"to": [{"ipBlock": {"cidr": "metadata"}}]}]), false)]
#[case::pods(json!([{"to": [{"podSelector": {}}]}]), true)]
#[case::all_namespaces(json!([{"to": [{"namespaceSelector": {}}]}]), false)]
#[case::system(json!([{"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]}]), false)]
#[case::dns(json!([{"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}]}]), true)]
#[case::edge_from_inside(json!([{"to": [{"namespaceSelector": {"matchLabels": {"shop.ai/edge": "true"}}}]}]), false)]
fn a_policy_opens_to_known_peers_alone(#[case] egress: Value, #[case] taken: bool) {
    let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "it"}, "spec": {"egress": egress}});
    assert_eq!(objects(&limits(), &[policy]).is_ok(), taken);
}

#[rstest]
#[case::edge(json!([{"from": [{"namespaceSelector": {"matchLabels": {"shop.ai/edge": "true"}}}]}]), true)]
#[case::everybody(json!([{"ports": []}]), false)]
#[case::all_namespaces(json!([{"from": [{"namespaceSelector": {}, "podSelector": {}}]}]), false)]
#[case::subnets(json!([{"from": [{"ipBlock": {"cidr": "10.0.0.0/20"}}]}]), true)]
#[case::everywhere(json!([{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]), false)]
fn a_policy_lets_known_peers_in_alone(#[case] ingress: Value, #[case] taken: bool) {
    let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "it"}, "spec": {"ingress": ingress}});
    assert_eq!(objects(&limits(), &[policy]).is_ok(), taken);
}
