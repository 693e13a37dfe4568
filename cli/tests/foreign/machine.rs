//! A machine that has little of something: doctor notes it, and a failure that comes of it names it. The limits are real
//! ones, of a process or of a namespace of the kernel's, so that nobody else on this machine has them.

use super::docker::{run, tool};
use super::place::{Place, Seat};
use super::trial::Shown;

const NO_LIMITS: &str = "limits are set with util-linux, by root";

/// Whether this command, which ends at once, can be run under.
async fn can(under: &[&str]) -> bool {
    run(tool(under[0]).args(&under[1..]).arg("true")).await.is_ok()
}

/// What doctor says of this name, however well the rest of this machine is.
async fn doctor(seat: &Seat, name: &str) -> String {
    let ran = seat.stack(&["doctor"]).run().await;
    let mut lines = ran.text.lines().map(str::trim).skip_while(|line| !line.contains(&format!(" {name} ")));
    let Some(first) = lines.next() else { panic!("cargo stack doctor says nothing of {name}\n{}", ran.text) };
    format!("{first} {}", lines.next().unwrap_or_default())
}

pub async fn few_open_files_are_noted_and_named(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    if !can(&["prlimit", "--nofile=64:64"]).await {
        return Shown::Nothing(NO_LIMITS);
    }
    let note = doctor(&seat.clone().under(&["prlimit", "--nofile=64:64"]), "open files").await;
    assert!(note.contains("64; below 1024 a run may fail") && note.contains("ulimit -n"), "{note}");
    let engine = doctor(&seat.clone().under(&["prlimit", "--nofile=12:12"]), "engine").await;
    assert!(engine.contains("too many open files") || engine.contains("Too many open files"), "{engine}");
    // Where it stands on the way that a file is missing is each time another: with 10 none is left to read the limit by.
    for files in [4, 8, 10, 12, 16] {
        let limit = format!("--nofile={files}:{files}");
        let ran = seat.clone().under(&["prlimit", &limit]).stack(&["validate"]).run().await;
        let named = format!("this machine's open files: {files};");
        ran.refuses(&format!("cargo stack validate with {files} files"), &["too many open files", &named]);
    }
    "doctor notes 64, and each command that fails with fewer names them".into()
}

/// Of somebody whose caches are in memory.
pub async fn a_small_shared_memory_is_noted_and_named(place: &Place) -> Shown {
    const SHELL: &str = "mount -t tmpfs -o size=$SIZE tmpfs /dev/shm && exec \"$@\"";
    let under = ["unshare", "--mount", "sh", "-c", SHELL, "sh"];
    if !can(&["env", "SIZE=64k", "unshare", "--mount", "sh", "-c", SHELL, "sh"]).await {
        return Shown::Nothing(NO_LIMITS);
    }
    let seat = place.seat("one").await.under(&under);
    let note = doctor(&seat.clone().with("SIZE", "32m"), "/dev/shm, in MiB").await;
    assert!(note.contains("32; below 64 a run may fail") && note.contains("mount -o remount"), "{note}");
    let full = seat.with("SIZE", "64k").with("XDG_CACHE_HOME", "/dev/shm/cache");
    let ran = full.stack(&["validate"]).run().await;
    ran.refuses("cargo stack validate in 64 KiB", &["no space left on device", "this machine's /dev/shm, in MiB: 0;"]);
    "doctor notes 32 MiB, and a command that fills it names it".into()
}

/// Turned off, as on many machines, and not left out of the kernel: there are still files that tell of it.
pub async fn no_ipv6_is_noted_and_named(place: &Place) -> Shown {
    const SHELL: &str = "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; exec \"$@\"";
    let under = ["unshare", "--net", "sh", "-c", SHELL, "sh"];
    if !can(&under).await {
        return Shown::Nothing(NO_LIMITS);
    }
    let seat = place.seat("one").await.under(&under);
    let note = doctor(&seat, "IPv6").await;
    assert!(note.contains("none; sites are asked by IPv4 alone"), "{note}");
    let ran = seat.stack(&["artifacts", "show", "https://[2001:db8::1]/artifacts.json"]).run().await;
    ran.refuses("a set at an address of IPv6", &["(os error ", "this machine has no address of IPv6"]);
    "doctor notes it, and a command that needs an address of it names it".into()
}

/// The kernel's limits themselves are the whole machine's, so that files in their places say what they would be.
pub async fn few_watches_are_noted(place: &Place) -> Shown {
    const SHELL: &str = "mount --bind \"$FEW\" /proc/sys/fs/inotify/$LIMIT && exec \"$@\"";
    let few = place.path("few");
    std::fs::write(&few, "16\n").unwrap();
    let under = ["unshare", "--mount", "sh", "-c", SHELL, "sh"];
    let seat = place.seat("one").await.with("FEW", few.to_string_lossy());
    if !can(&["unshare", "--mount"]).await {
        return Shown::Nothing(NO_LIMITS);
    }
    for (limit, least) in [("max_user_watches", 65_536), ("max_user_instances", 128)] {
        let seat = seat.clone().with("LIMIT", limit).under(&under);
        let note = doctor(&seat, &format!("fs.inotify.{limit}")).await;
        assert!(note.contains(&format!("16; below {least} a run may fail")) && note.contains("sysctl -w"), "{note}");
    }
    "doctor notes both".into()
}

/// One that is away, with an account: neither it nor what is behind it is reached.
pub async fn a_proxy_that_is_away_is_named(place: &Place) -> Shown {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let seat = place.seat("one").await.with("HTTPS_PROXY", format!("http://me:hunter2@{address}"));
    let named = format!("through the proxy http://{address}: ");
    let ran = seat.stack(&["doctor"]).run().await;
    ran.ends("cargo stack doctor behind a proxy that is away");
    let proxy = format!("http://{address}, but for ");
    assert!(
        ran.text.contains(&proxy) && ran.text.contains(&format!("github.com is not reached: {named}")),
        "{}",
        ran.text
    );
    assert!(!ran.text.contains("hunter2"), "doctor shows the proxy's password\n{}", ran.text);
    let build = |name: &str| {
        let digest = "0123456789abcdef".repeat(4);
        serde_json::json!({"imageName": name, "tag": format!("registry.example/{name}@sha256:{digest}")})
    };
    let builds = ["backend", "frontend", "postgres", "redis"].map(build);
    let set = serde_json::json!({
        "builds": builds,
        "revision": "0123456789abcdef0123456789abcdef01234567", "platform": "linux/amd64",
    });
    std::fs::write(place.path("artifacts.json"), set.to_string()).unwrap();
    let file = place.path("artifacts.json").to_string_lossy().into_owned();
    for args in [&["show", "https://site.example/artifacts.json"][..], &["show", &file, "--check"]] {
        let ran = seat.stack(&[&["artifacts"], args].concat()).run().await;
        ran.refuses("a set behind a proxy that is away", &[&named]);
        assert!(!ran.text.contains("hunter2"), "it shows the proxy's password\n{}", ran.text);
    }
    "doctor, a set's address and a set's registry name it, without its account".into()
}
