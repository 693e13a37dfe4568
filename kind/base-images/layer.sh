# shellcheck shell=bash
# Layers as files, and images put together from them.

# recipe_key FILE...: a key for what these files (and the pins) produce; they are in the recipes'
# folder, or else beside this file.
recipe_key() {
    local file files=()
    for file in pins.sh layer.sh "$@"; do
        [[ -e $here/$file ]] || file=${BASH_SOURCE[0]%/*}/$file
        files+=("$file")
    done
    (cd "$here" && sha256sum -- "${files[@]}" | cut -c1-64 | sha256sum | cut -c1-16)
}

# pack FOLDER FILE [TAR_OPTION...]: a layer, the same bytes for the same content.
pack() {
    local folder=$1 file=$2
    shift 2
    tar --create --file "$file" --directory "$folder" --sort=name --numeric-owner \
        --clamp-mtime --mtime="@$epoch" --format=posix \
        --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime "$@" .
}

# pack_newer FOLDER MARKER FILE: a layer of what changed in FOLDER since MARKER was made.
pack_newer() {
    local list=$work/newer.$BASHPID
    (cd "$1" && find . -mindepth 1 -cnewer "$2" -print0 | LC_ALL=C sort --zero-terminated) >"$list"
    tar --create --file "$3" --directory "$1" --null --no-recursion --files-from "$list" \
        --numeric-owner --clamp-mtime --mtime="@$epoch" --format=posix \
        --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime
}

# in_root FOLDER COMMAND...: in a chroot with /proc and /dev, in namespaces that end with it,
# so that no mount outlives a kill.
in_root() {
    unshare --mount --pid --net --fork --kill-child /bin/sh -c '
        set -e
        root=$1; shift
        mount -t proc proc "$root/proc"
        mount -t tmpfs -o mode=755 tmpfs "$root/dev"
        for node in null zero full random urandom; do
            : >"$root/dev/$node"
            mount --bind "/dev/$node" "$root/dev/$node"
        done
        exec chroot "$root" "$@"
    ' in_root "$@"
}

# layer_sum LAYER: its sha256, kept beside it.
layer_sum() {
    once "$1.sha256" write_sum "$1"
    cat "$1.sha256"
}

write_sum() { sha256sum "$1" | cut -d' ' -f1 >"$2"; }

# load_image TAG CONFIG LAYER...: CONFIG is the image's `config` object, in JSON. An image's id is
# the sha256 of its configuration, so one that the engine has already only gets the tag.
load_image() {
    local tag=$1 config=$2 engine=${CONTAINER_ENGINE:-docker} folder layer sum id layers=() sums=()
    shift 2
    folder=$(mktemp -d "$work/image.XXXXXX")
    for layer; do
        sum=$(layer_sum "$layer")
        ln -sf "$layer" "$folder/$sum.tar"
        layers+=("$sum.tar") sums+=("sha256:$sum")
    done
    jq -cn --argjson config "$config" --arg by "kind/${recipes:-base-images}" \
        --arg created "$(date -u -d "@$epoch" +%FT%TZ)" '
        {architecture: "amd64", os: "linux", created: $created, config: $config,
         rootfs: {type: "layers", diff_ids: $ARGS.positional},
         history: [$ARGS.positional[] | {created: $created, created_by: $by}]}
        ' --args "${sums[@]}" >"$folder/config"
    id=$(sha256sum "$folder/config" | cut -d' ' -f1)
    if "$engine" tag "sha256:$id" "$tag" 2>/dev/null; then
        say "tagged $tag, already loaded"
        return
    fi
    mv "$folder/config" "$folder/$id.json"
    jq -cn --arg tag "$tag" --arg config "$id.json" \
        '[{Config: $config, RepoTags: [$tag], Layers: $ARGS.positional}]' --args "${layers[@]}" >"$folder/manifest.json"
    logged "load-${tag//[^a-z0-9]/-}" load_folder "$engine" "$folder" manifest.json "$id.json" "${layers[@]}"
    rm -rf "$folder"
    say "loaded $tag"
}

load_folder() {
    tar --create --dereference --directory "$2" "${@:3}" | "$1" load
}
