//! What may keep a preview's part of a store, and what brings it back: what was made in it, a store that stops, a keeper that
//! dies, a namespace that went past the keeper.

use harness::k8s::{self, State};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::cluster;
use super::command::docker;
use super::place::{LIMIT, PREVIEWS, Place, namespace_of};
use super::stores;

/// Within which a keeper looks again at what it made, or a second one takes over.
const AGAIN: &str = "what the keeper does from time to time";

impl Place {
    /// Makes of a preview's stores all that might keep it, and of what is its own in its database what might keep another.
    pub async fn hoard(&self, number: &str, other: &str) {
        let script = include_str!("stores/hoarder.py");
        let (own, other) = (stores::name_of(number), stores::name_of(other));
        let command = ["env", &format!("HOARDER={script}"), "python", "-c", script, &own, &other].map(str::to_owned);
        let command = command.each_ref().map(String::as_str);
        let component = "app.kubernetes.io/component=api";
        let answer = cluster::exec(self.client(), &namespace_of(number), component, &command).await;
        let made = [
            "table",
            "schema",
            "default-rights",
            "rights",
            "large-object",
            "prepared",
            "large-objects-elsewhere",
            "prepared-elsewhere",
            "rights-of-another",
            "settings",
            "object-dot",
            "object-dots",
            "object-plus",
            "object-signs",
            "sessions",
        ];
        let refused = ["template", "no-connections", "owner", "name", "database", "role", "superuser"];
        for (names, result) in [(&made[..], "allowed"), (&refused[..], "refused")] {
            for name in names {
                let says = answer.lines().any(|line| line.starts_with(&format!("{name} {result}")));
                assert!(says, "{name} is not {result}:\n{answer}");
            }
        }
    }

    /// Stops a store, or starts it again without anything that it held.
    pub async fn run_store(&self, name: &str, runs: bool) {
        let api: Api<Deployment> = Api::namespaced(self.client().clone(), stores::NAMESPACE);
        let patch = json!({"spec": {"replicas": i32::from(runs)}});
        api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        let awaited = format!("{name} of {}", stores::NAMESPACE);
        k8s::wait::object(api, name, &awaited, LIMIT, |found| {
            let status = found.and_then(|found| found.status.as_ref());
            let counts = status.map_or((0, 0), |it| (it.replicas.unwrap_or(0), it.ready_replicas.unwrap_or(0)));
            let wanted = if runs { (1, 1) } else { (0, 0) };
            if counts == wanted { State::Ready } else { State::Pending(format!("{counts:?} replicas")) }
        })
        .await
        .unwrap();
    }

    /// Waits until a store holds what it should, or nothing, of a preview.
    pub async fn until_holds(&self, name: &str, what: Option<&str>) {
        let until = async {
            loop {
                let held = stores::holds(self.client(), name).await;
                let is_so = what.map_or(held.is_empty(), |what| held.iter().any(|found| found == what));
                if is_so {
                    return;
                }
                // Nothing tells of a store's content.
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        };
        tokio::time::timeout(LIMIT, until).await.unwrap_or_else(|_| panic!("{AGAIN}: {name} holds no {what:?}"));
    }

    /// Kills the keeper that leads, so that it gives nothing back, and waits until another leads.
    pub async fn kill_the_keeper(&self) {
        let api: Api<Lease> = Api::namespaced(self.client().clone(), PREVIEWS);
        let holder = |lease: &Lease| lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
        let before = holder(&api.get("keeper").await.unwrap());
        let pods: Api<Pod> = Api::namespaced(self.client().clone(), PREVIEWS);
        let keepers = pods.list(&ListParams::default().labels("app.kubernetes.io/component=keeper")).await.unwrap();
        assert_eq!(keepers.items.len(), 2, "one leads, and one stands by");
        let mut leaders = Vec::new();
        for pod in &keepers {
            if pods.logs(&pod.name_any(), &Default::default()).await.unwrap().contains("leads, for the previews of") {
                leaders.push(pod.metadata.uid.clone().unwrap());
            }
        }
        assert_eq!(leaders.len(), 1, "{leaders:?}");
        // From the node, by the pod's cgroup: a container's first process is safe from its own.
        let kill = format!(
            "for it in /proc/[0-9]*; do if tr _ - <$it/cgroup 2>/dev/null | grep -q pod{} \
             && [ $(cat $it/comm) != pause ]; then kill -9 ${{it#/proc/}} && echo killed; fi; done",
            leaders[0]
        );
        let killed = docker(&["exec", &self.node(), "sh", "-c", &kill]).await;
        assert!(killed.contains("killed"), "no process of the keeper was found: {killed:?}");
        k8s::wait::object(api, "keeper", "another keeper", LIMIT, |found| match found.and_then(holder) {
            Some(now) if Some(&now) != before.as_ref() => State::Ready,
            other => State::Pending(format!("the Lease says {other:?}")),
        })
        .await
        .unwrap();
    }

    /// Makes a database with its role and a Redis user of this name, as a keeper would.
    pub async fn plant(&self, name: &str) {
        psql(self.client(), &[format!("CREATE ROLE \"{name}\""), format!("CREATE DATABASE \"{name}\"")]).await;
        for command in [format!("ACL SETUSER {name} on nopass ~{name}:*"), format!("SET {name}:x 1")] {
            redis(self.client(), &command.split(' ').collect::<Vec<_>>()).await;
        }
    }

    /// Takes away what [`Place::plant`] made.
    pub async fn uproot(&self, name: &str) {
        psql(self.client(), &[format!("DROP DATABASE \"{name}\""), format!("DROP ROLE \"{name}\"")]).await;
        for command in [format!("ACL DELUSER {name}"), format!("DEL {name}:x")] {
            redis(self.client(), &command.split(' ').collect::<Vec<_>>()).await;
        }
    }

    /// What the keepers say.
    pub async fn keepers_say(&self) -> String {
        let pods: Api<Pod> = Api::namespaced(self.client().clone(), PREVIEWS);
        let mut text = String::new();
        for pod in pods.list(&ListParams::default().labels("app.kubernetes.io/component=keeper")).await.unwrap() {
            text += &pods.logs(&pod.name_any(), &Default::default()).await.unwrap();
        }
        text
    }
}

/// As the keeper's own user, who has the more rights to a role for having made it.
async fn psql(client: &Client, statements: &[String]) {
    let mut command = vec!["psql", "-qAtX", "-U", "admin", "-d", "postgres", "-c", "SET ROLE master"];
    command.extend(statements.iter().flat_map(|statement| ["-c", statement]));
    cluster::exec(client, stores::NAMESPACE, "app=postgres", &command).await;
}

async fn redis(client: &Client, command: &[&str]) {
    let cli = ["redis-cli", "-e", "--tls", "--cacert", "/tls/ca.crt", "--no-auth-warning"];
    cluster::exec(client, stores::NAMESPACE, "app=redis", &[&cli[..], command].concat()).await;
}
