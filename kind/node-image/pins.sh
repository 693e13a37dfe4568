# shellcheck shell=bash disable=SC2034 # read by the recipes
# What the image is made of; the Go modules' versions and hashes are in go.mod and go.sum.

# The date of every file that a recipe writes, so that the same inputs make the same image.
readonly epoch=1767225600 # 2026-01-01

# The versions of `kubeadm config images list`: what kubeadm asks for, whatever the version inside.
readonly kubernetes=v1.34.11
readonly etcd_tag=3.6.5-0 coredns_tag=v1.12.1 pause_tag=3.10.1

# The last release whose systemd boots on cgroup v1 as well as on v2.
readonly debian_suite=bookworm

# As Kind's own images have them, less NFS, iSCSI and rootless operation. dpkg is here for
# update-alternatives, with which Kind's entrypoint chooses the kind of iptables.
readonly node_packages='systemd conntrack iptables nftables iproute2 ethtool mount kmod e2fsprogs ca-certificates curl jq
    procps debianutils containerd runc containernetworking-plugins dpkg'

# Needed by maintainer scripts alone.
readonly debian_dropped='adduser|apt|debconf|gcc-12-base|init-system-helpers|libaudit-common|libdb5.*|libdebconfclient0
    |libfile-find-rule-perl|libgdbm.*|libnumber-compare-perl|libpam-.*|libperl.*|libsasl2-modules-db|libtext-glob-perl
    |openssl|perl.*|usrmerge|util-linux-extra'

# Everything of a package but its documents: a node has an init.
readonly debian_excluded=('./etc/init.d/*')
