# shellcheck shell=bash
# The node's root: Debian's packages, the files of Kind's base image from its Go module, and ours.

# node_root FILE: leaves the layer's path in FILE.
node_root() {
    local plan layer key
    # shellcheck disable=SC2086 # a list of words
    debian_plan $debian_base $node_packages
    plan=$planned
    key=$(recipe_key debian.sh root.sh go.sum $(cd "$here" && find root -type f | LC_ALL=C sort))
    layer=$cache/layers/root-$key-$(plan_key "$plan").tar
    once "$layer" timed "the node's root" make_root "$plan"
    printf '%s\n' "$layer" >"$1"
}

make_root() {
    local root=$work/root.node
    mkdir -p "$root/usr"/{bin,sbin,lib,lib64}
    # What this release's packages do not carry yet, since their scripts make it.
    ln -s usr/{bin,sbin,lib,lib64} "$root"
    debian_unpack "$1" "$root"
    debian_settle "$root"
    trim_root "$root"
    kind_files "$root"
    cp -r --no-preserve=mode "$here/root/." "$root"
    settle_root "$root"
    pack "$root" "$2"
    rm -rf "$root"
}

# What a node does not run.
trim_root() {
    (
        cd "$1"
        find usr/lib/cni -type f ! -name ptp ! -name bridge ! -name host-local ! -name loopback ! -name portmap -delete
        # The last two lack their libraries here.
        rm -rf usr/bin/containerd-stress usr/bin/containerd-shim usr/bin/containerd-shim-runc-v1 usr/bin/perl* usr/sbin/{arpd,update-passwd} \
            usr/share/{perl*,dpkg,zsh,fish,polkit-1,dbus-1,gcc,gdb,locale} usr/lib/{udev/hwdb.d,x86_64-linux-gnu/perl*} \
            usr/lib/systemd/{system-generators,user-generators,catalog,boot}
        # dpkg, but for the one program of it that is wanted.
        find usr/bin usr/sbin -name 'dpkg*' -delete
        rm -rf usr/lib/dpkg etc/dpkg etc/cron.* etc/init.d etc/rc*.d etc/default/*
    )
}

# kind_files ROOT: as the Dockerfile beside them puts them there.
kind_files() {
    local from file mode
    logged kind-module "$go" -C "$here" mod download sigs.k8s.io/kind
    from=$("$go" -C "$here" list -m -f '{{.Dir}}' sigs.k8s.io/kind)/images/base/files
    [[ -d $from ]] || fail "the module sigs.k8s.io/kind has no images/base/files"
    while read -r file; do
        mode=644
        case $file in */clean-install) continue ;; */bin/*) mode=755 ;; esac
        install -D -m "$mode" "$from/$file" "$1/$file"
    done < <(cd "$from" && find . -type f)
}

settle_root() {
    local root=$1 unit lost
    (
        cd "$root"
        ln -sf ../lib/systemd/systemd usr/sbin/init
        ln -sf which.debianutils usr/bin/which
        # Nothing starts by itself but what the cluster needs.
        rm -f lib/systemd/system/multi-user.target.wants/* lib/systemd/system/local-fs.target.wants/* \
            lib/systemd/system/basic.target.wants/* lib/systemd/system/sockets.target.wants/*{udev,initctl}* \
            lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service
        mkdir -p etc/systemd/system/multi-user.target.wants
        for unit in kubelet containerd undo-mount-hacks; do
            ln -s "/etc/systemd/system/$unit.service" etc/systemd/system/multi-user.target.wants/
        done
        ln -s /dev/null etc/systemd/system/systemd-binfmt.service
        mkdir -p etc/systemd/journald.conf.d
        printf '[Journal]\nReadKMsg=no\n' >etc/systemd/journald.conf.d/kind.conf

        # Kind's files have the paths of binaries that Kind builds by itself.
        ln -s /usr/bin/{containerd,ctr,containerd-shim-runc-v2} usr/local/bin/
        mkdir -p opt/cni etc/kubernetes/manifests etc/ssl/certs
        ln -s /usr/lib/cni opt/cni/bin
        cat usr/share/ca-certificates/mozilla/*.crt >etc/ssl/certs/ca-certificates.crt
        printf %s "$kubernetes" >kind/version

        # The second, for hosts without CAP_SYS_RESOURCE; elsewhere no pod asks for less than containerd has.
        sed -i -e "s|sandbox_image = .*|sandbox_image = \"registry.k8s.io/pause:$pause_tag\"|" \
            -e 's|restrict_oom_score_adj = false|restrict_oom_score_adj = true|' etc/containerd/config.toml
    )
    grep -q "pause:$pause_tag" "$root/etc/containerd/config.toml" && grep -q 'adj = true' "$root/etc/containerd/config.toml" ||
        fail "Kind's containerd configuration is not as expected"
    logged root in_root "$root" /bin/sh -euc "$settle_inside"
    lost=$(in_root "$root" sh -c 'ldd $(find /usr/bin /usr/sbin /usr/lib/cni /lib/systemd/systemd* -type f) 2>/dev/null' | grep 'not found' || true)
    [[ -z $lost ]] || fail "the plan lacks libraries: $lost"
    rm -rf "$root"/var/cache/ldconfig "$root"/var/log/* "$root"/tmp/*
}

# The entrypoint chooses between the alternatives; the hook gives each container the machine's names.
readonly settle_inside='
    for v in "" 6; do
        for kind in legacy:10 nft:20; do
            update-alternatives --install "/usr/sbin/ip${v}tables" "ip${v}tables" "/usr/sbin/ip${v}tables-${kind%:*}" "${kind#*:}" \
                --slave "/usr/sbin/ip${v}tables-restore" "ip${v}tables-restore" "/usr/sbin/ip${v}tables-${kind%:*}-restore" \
                --slave "/usr/sbin/ip${v}tables-save" "ip${v}tables-save" "/usr/sbin/ip${v}tables-${kind%:*}-save"
        done
    done
    systemd-sysusers
    ctr oci spec | jq ".hooks.createContainer += [{path: \"/kind/bin/mount-product-files.sh\"}] | del(.process.rlimits)" \
        >/etc/containerd/cri-base.json
    ldconfig
'
