# shellcheck shell=bash
# The images that a node has from the start: an OCI layout, imported by the node's own containerd.

# images PROGRAMS_LAYER ROOT_LAYER: leaves the path in $images_layer.
images() {
    local key
    key=$(recipe_key images.sh programs.sh pause/main.go kube-proxy/kube-proxy && basename -a "$@")
    images_layer=$cache/layers/images-$(sha256sum <<<"$key" | cut -c1-16).tar
    once "$images_layer" timed "the images on the node" make_images "$@"
}

make_images() {
    local programs=$1 node_root=$2 root=$work/root.images layout=$work/layout pause proxy name
    mkdir -p "$root" "$layout/blobs/sha256"
    tar --extract --preserve-permissions --numeric-owner --file "$node_root" --directory "$root"
    pause=$work/pause.tar proxy=$work/proxy.tar
    make_pause "$pause"
    make_proxy "$root" "$proxy"

    for name in kube-apiserver kube-controller-manager kube-scheduler; do
        oci_image "registry.k8s.io/$name:$kubernetes" "/usr/bin/$name" "$programs"
    done
    oci_image "registry.k8s.io/kube-proxy:$kubernetes" /usr/local/bin/kube-proxy "$programs" "$proxy"
    oci_image "registry.k8s.io/etcd:$etcd_tag" /usr/bin/etcd "$programs"
    oci_image "registry.k8s.io/coredns/coredns:$coredns_tag" /usr/bin/coredns "$programs"
    oci_image "registry.k8s.io/pause:$pause_tag" /pause "$pause"
    oci_image harness.internal/kind/local-volumes:1 /usr/bin/local-volumes "$programs"
    jq -cs '{schemaVersion: 2, manifests: .}' "$layout/manifests" >"$layout/index.json"
    printf '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"

    touch "$root.marker"
    mkdir "$root/layout"
    tar --create --file "$root/layout/images.tar" --directory "$layout" index.json oci-layout blobs
    logged import in_root "$root" /bin/sh -euc "$import_inside"
    rm -rf "$root"/{layout,run/containerd,var/lib/containerd/tmpmounts}
    pack_newer "$root" "$root.marker" "$3"
    rm -rf "$root" "$root.marker" "$layout"
}

# Without its CRI plugin, which needs more of a machine than a chroot has. Unpacked, so that no boot
# has to; where the cache's file system carries no overlay, a boot does (3 s of a processor).
readonly import_inside='
    printf "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n" >/layout/config.toml
    containerd --config /layout/config.toml &
    for try in $(seq 300); do
        if ctr version >/dev/null 2>&1; then break; fi
        kill -0 $!
        sleep 0.1
    done
    ctr --namespace k8s.io images import --all-platforms /layout/images.tar ||
        ctr --namespace k8s.io images import --all-platforms --no-unpack /layout/images.tar
    ctr --namespace k8s.io images list
    kill $!
    wait $!
'

# make_pause LAYER: apart from the others, since each pod runs one.
make_pause() {
    local root=$work/root.pause
    mkdir "$root"
    logged compile compile "$root/pause" ./pause
    pack "$root" "$1"
}

# make_proxy ROOT LAYER: what kube-proxy runs, as the node has it.
make_proxy() {
    local root=$1 to=$work/root.proxy
    mkdir -p "$to"
    (
        cd "$root"
        cp --parents -P usr/sbin/xtables-{nft,legacy}-multi usr/sbin/ip{,6}tables-legacy-save usr/sbin/{conntrack,nft} \
            usr/bin/{sh,dash,grep,ln} usr/lib/x86_64-linux-gnu/xtables/*.so "$to"
        in_root "$root" ldd usr/sbin/{xtables-nft-multi,xtables-legacy-multi,conntrack,nft} usr/bin/{dash,grep,ln} \
            usr/lib/x86_64-linux-gnu/xtables/*.so |
            sed -n -E 's/^\t(.* => )?(\/[^ ]+) \(.*/\2/p' | LC_ALL=C sort -u | while read -r file; do
            install -D "$(realpath ".$file")" "$to/usr$file"
        done
        cp -P --parents etc/nsswitch.conf etc/protocols etc/services "$to"
    )
    ln -s usr/{bin,sbin,lib,lib64} "$to"
    mkdir -p "$to/run" "$to/usr/local/bin"
    install -m 755 "$here/kube-proxy/kube-proxy" "$to/usr/local/bin/kube-proxy"
    pack "$to" "$2"
    rm -rf "$to"
}

# oci_image NAME ENTRYPOINT LAYER...: adds an image to $layout.
oci_image() {
    local name=$1 entrypoint=$2 layer sums=() config
    shift 2
    : >"$layout/layers"
    for layer; do
        oci_layer "$layer" >>"$layout/layers"
        sums+=("sha256:$(layer_sum "$layer")")
    done
    jq -cn --arg entrypoint "$entrypoint" --arg created "$(date -u -d "@$epoch" +%FT%TZ)" '
        {architecture: "amd64", os: "linux", created: $created,
         config: {Entrypoint: [$entrypoint], Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
         rootfs: {type: "layers", diff_ids: $ARGS.positional}}' --args "${sums[@]}" >"$layout/part"
    config=$(oci_blob "$layout/part" application/vnd.oci.image.config.v1+json)
    jq -cs --argjson config "$config" '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: $config, layers: .}' "$layout/layers" >"$layout/part"
    oci_blob "$layout/part" application/vnd.oci.image.manifest.v1+json |
        jq -c --arg name "$name" '. + {annotations: {"io.containerd.image.name": $name}}' >>"$layout/manifests"
}

# oci_layer LAYER: prints its descriptor. Compressed as what unpacks fastest, once.
oci_layer() {
    local described=$layout/described.${1##*/}
    if [[ ! -e $described ]]; then
        zstd --quiet -3 -T0 --force "$1" -o "$layout/part"
        oci_blob "$layout/part" application/vnd.oci.image.layer.v1.tar+zstd >"$described"
    fi
    cat "$described"
}

# oci_blob FILE MEDIA_TYPE: moves it to its place; prints its descriptor.
oci_blob() {
    local sum size
    sum=$(sha256sum "$1" | cut -d' ' -f1)
    size=$(stat -c %s "$1")
    mv "$1" "$layout/blobs/sha256/$sum"
    jq -cn --arg type "$2" --arg digest "sha256:$sum" --argjson size "$size" '{mediaType: $type, digest: $digest, size: $size}'
}
