# shellcheck shell=bash
# redis: Debian's Redis with the contract of the official image.

image_redis() {
    local plan=$work/redis.plan layer
    debian
    debian_extra "$plan" redis-server
    layer=$cache/layers/redis-$(recipe_key debian.sh redis.sh redis/entrypoint)-$(plan_key "$plan").tar
    once "$layer" make_redis "$plan"
    load_image "$1" "$(jq -cn '{
        Entrypoint: ["docker-entrypoint.sh"],
        Cmd: ["redis-server"],
        WorkingDir: "/data",
        ExposedPorts: {"6379/tcp": {}},
        Volumes: {"/data": {}},
        Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        Labels: {"internal.harness.stand-in": "redis:8", "internal.harness.made-from": "debian"}
    }')" "$debian_layer" "$layer"
}

# make_redis PLAN LAYER
make_redis() {
    local root=$work/redis
    say "redis: unpacking"
    debian_start "$root" "$1"
    debian_user "$root" redis 999 /data /usr/sbin/nologin
    install -m 755 "$here/redis/entrypoint" "$root/usr/local/bin/docker-entrypoint.sh"
    rm -rf "$root"/etc/{redis,default/redis-server,logrotate.d} "$root"/var/{lib,log}/redis
    install -d -o 999 -g 999 "$root/data"
    debian_finish "$root" "$2" /usr/bin/redis-{server,cli}
}
