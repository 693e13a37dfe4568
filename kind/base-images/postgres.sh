# shellcheck shell=bash
# postgres: Debian's PostgreSQL with the contract of the official image.

image_postgres() {
    local plan=$work/postgres.plan layer bin
    bin=/usr/lib/postgresql/$postgres_major/bin
    debian
    debian_extra "$plan" "postgresql-$postgres_major" locales
    layer=$cache/layers/postgres-$(recipe_key debian.sh postgres.sh postgres/entrypoint)-$(plan_key "$plan").tar
    once "$layer" make_postgres "$plan" "$bin"
    load_image "$1" "$(jq -cn --arg major "$postgres_major" --arg bin "$bin" '{
        Entrypoint: ["docker-entrypoint.sh"],
        Cmd: ["postgres"],
        StopSignal: "SIGINT",
        ExposedPorts: {"5432/tcp": {}},
        Volumes: {"/var/lib/postgresql/data": {}},
        Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:\($bin)", "LANG=en_US.utf8",
              "PG_MAJOR=\($major)", "PGDATA=/var/lib/postgresql/data"],
        Labels: {"internal.harness.stand-in": "postgres:\($major)", "internal.harness.made-from": "debian"}
    }')" "$debian_layer" "$layer"
}

# make_postgres PLAN BIN LAYER
make_postgres() {
    local root=$work/postgres
    say "postgres: unpacking"
    debian_start "$root" "$1"
    debian_user "$root" postgres 999 /var/lib/postgresql /bin/bash
    install -m 755 "$here/postgres/entrypoint" "$root/usr/local/bin/docker-entrypoint.sh"
    sed -i "s/^#\?listen_addresses = .*/listen_addresses = '*'/" "$root/usr/share/postgresql/$postgres_major/postgresql.conf.sample"
    # The official image's collation; the sources of all the others then go.
    logged postgres in_root "$root" localedef -i en_US -c -f UTF-8 -A /usr/share/locale/locale.alias en_US.UTF-8
    (
        cd "$root"
        rm -rf usr/share/i18n usr/lib/postgresql/*/lib/{bitcode,llvmjit*} usr/share/postgresql/*/man var/lib/dpkg/status.d/locales
        rm -rf var/lib/postgresql run/postgresql
        install -d -o 999 -g 999 -m 1777 var/lib/postgresql/data
        chown 999:999 var/lib/postgresql
        install -d -o 999 -g 999 -m 3777 run/postgresql
        mkdir -p docker-entrypoint-initdb.d
    )
    debian_finish "$root" "$3" "$2"/{postgres,initdb,pg_ctl,psql,pg_dump,pg_isready}
}
