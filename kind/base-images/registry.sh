# shellcheck shell=bash
# registry: Debian's docker-registry with the contract of the official image.

image_registry() {
    local plan=$work/registry.plan layer
    debian
    debian_extra "$plan" docker-registry ca-certificates
    layer=$cache/layers/registry-$(recipe_key debian.sh registry.sh registry/entrypoint registry/config.yml)-$(plan_key "$plan").tar
    once "$layer" make_registry "$plan"
    load_image "$1" "$(jq -cn '{
        Entrypoint: ["/entrypoint.sh"],
        Cmd: ["/etc/docker/registry/config.yml"],
        ExposedPorts: {"5000/tcp": {}},
        Volumes: {"/var/lib/registry": {}},
        Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        Labels: {"internal.harness.stand-in": "registry:2", "internal.harness.made-from": "debian"}
    }')" "$debian_layer" "$layer"
}

# make_registry PLAN LAYER
make_registry() {
    local root=$work/registry
    say "registry: unpacking"
    debian_start "$root" "$1"
    install -m 755 "$here/registry/entrypoint" "$root/entrypoint.sh"
    install -m 644 "$here/registry/config.yml" "$root/etc/docker/registry/config.yml"
    ln -s docker-registry "$root/usr/bin/registry"
    rm -rf "$root/var/lib/docker-registry" "$root/etc/docker/registry/htpasswd"
    mkdir -p "$root/var/lib/registry" "$root/etc/ssl/certs"
    cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
    debian_finish "$root" "$2" /usr/bin/docker-registry
}
