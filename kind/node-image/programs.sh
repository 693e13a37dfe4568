# shellcheck shell=bash
# The cluster's programs, compiled by the host's Go.

need_go() {
    local version
    readonly go=${GO:-go}
    command -v "$go" >/dev/null || fail "no Go program here ($go); install Go 1.25 or newer, or name it: GO=... $0 $image"
    # The settings of whoever calls must not decide what is made; the network's (GOPROXY and the like) stay.
    export GOFLAGS=-mod=readonly GOWORK=off GOOS=linux GOARCH=amd64 GOAMD64=v1 CGO_ENABLED=0
    version=$(cd "$here" && "$go" env GOVERSION) || fail "$go does not work"
    readonly go_version=$version
}

# programs FILE: one layer, with a name for each; leaves the layer's path in FILE.
programs() {
    local layer
    layer=$cache/layers/programs-$(printf '%s\n' "$(recipe_key "${program_sources[@]}")" "$go_version" | sha256sum | cut -c1-16).tar
    once "$layer" timed "Kubernetes $kubernetes, etcd and CoreDNS" make_programs
    printf '%s\n' "$layer" >"$1"
}

readonly program_sources=(go.mod go.sum main.go dns.go volumes.go programs.sh)
readonly program_names='kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubeadm kubectl etcd coredns local-volumes'

make_programs() {
    local root=$work/programs.root name
    mkdir -p "$root/usr/bin"
    logged compile compile "$root/usr/bin/hyperkube" .
    for name in $program_names; do ln -s hyperkube "$root/usr/bin/$name"; done
    # Where kubeadm's manifest of kube-proxy looks for it.
    mkdir -p "$root/usr/local/bin"
    ln -s /usr/bin/hyperkube "$root/usr/local/bin/kube-proxy"
    pack "$root" "$1"
    rm -rf "$root"
}

# compile FILE PACKAGE. No debugging information, not even made and then thrown away by the linker:
# an eighth of the compiler's time. Nothing that would slow the programs down. No paths of the host.
compile() {
    local set='' package line count=0
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        set+=" -X $package.gitVersion=$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=${kubernetes:3:2}"
    done
    cd "$here"
    "$go" build -v -buildvcs=false -trimpath -gcflags=all=-dwarf=false -ldflags="-s -w$set" -o "$1" "$2" 2>&1 |
        while read -r line; do
            printf '%s\n' "$line"
            ((++count % 500)) || say "compiled $count packages of some 2900" 2>&"$told"
        done
}
