# shellcheck shell=bash
# nginx: Debian's source packages compiled for musl, on Alpine.

image_nginx() {
    local layer
    layer=$cache/layers/nginx-$(recipe_key alpine.sh musl.sh nginx.sh nginx/nginx.conf nginx/default.conf).tar
    once "$layer" make_nginx
    alpine
    load_image "$1" "$(jq -cn --arg version "$nginx_version" '{
        Cmd: ["nginx", "-g", "daemon off;"],
        StopSignal: "SIGQUIT",
        ExposedPorts: {"80/tcp": {}},
        Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "NGINX_VERSION=\($version)"],
        Labels: {"internal.harness.stand-in": "nginx:1.29-alpine", "internal.harness.made-from": "alpine+debian-sources"}
    }')" "$alpine_layer" "$layer"
}

make_nginx() {
    local tree=$work/nginx root=$work/nginx/root
    mkdir -p "$tree"
    unpack_alpine "$root"
    touch "$tree/marker"
    unpack_source nginx "$nginx_source" "$nginx_source_sha256"
    unpack_source pcre2 "$pcre_source" "$pcre_source_sha256"
    unpack_source zlib "$zlib_source" "$zlib_source_sha256"
    say "nginx: compiling"
    musl_headers "$tree/headers"
    logged nginx compile_nginx "$tree"

    logged nginx in_root "$root" /bin/sh -c '
        set -e
        addgroup -g 101 -S nginx
        adduser -S -D -H -u 101 -h /var/cache/nginx -s /sbin/nologin -G nginx -g nginx nginx
        mkdir -p /var/log/nginx /var/cache/nginx /etc/nginx/conf.d /usr/share/nginx/html
        ln -s /dev/stdout /var/log/nginx/access.log
        ln -s /dev/stderr /var/log/nginx/error.log
        chown nginx:nginx /var/cache/nginx'
    install -m 755 "$tree/nginx/objs/nginx" "$root/usr/sbin/nginx"
    install -m 644 "$tree"/nginx/conf/{mime.types,fastcgi_params} "$here/nginx/nginx.conf" "$root/etc/nginx/"
    install -m 644 "$here/nginx/default.conf" "$root/etc/nginx/conf.d/"
    install -m 644 "$tree"/nginx/html/{index,50x}.html "$root/usr/share/nginx/html/"
    logged nginx in_root "$root" nginx -t
    rm -rf "$root"/etc/*- "$root"/run/* "$root"/var/cache/nginx/* "$root"/tmp/*
    pack_newer "$root" "$tree/marker" "$1"
    rm -rf "$tree"
}

# compile_nginx TREE, beside whose sources is the Alpine root.
compile_nginx() {
    cd "$1/nginx"
    ./configure --prefix=/etc/nginx --sbin-path=/usr/sbin/nginx --conf-path=/etc/nginx/nginx.conf \
        --error-log-path=/var/log/nginx/error.log --http-log-path=/var/log/nginx/access.log \
        --pid-path=/run/nginx.pid --lock-path=/run/nginx.lock \
        --http-client-body-temp-path=/var/cache/nginx/client_temp --http-proxy-temp-path=/var/cache/nginx/proxy_temp \
        --http-fastcgi-temp-path=/var/cache/nginx/fastcgi_temp --http-uwsgi-temp-path=/var/cache/nginx/uwsgi_temp \
        --http-scgi-temp-path=/var/cache/nginx/scgi_temp --user=nginx --group=nginx --with-compat --with-threads \
        --with-http_addition_module --with-http_auth_request_module --with-http_gunzip_module \
        --with-http_gzip_static_module --with-http_realip_module --with-http_secure_link_module \
        --with-http_slice_module --with-http_stub_status_module --with-http_sub_module --with-http_v2_module \
        --with-pcre=../pcre2 --with-zlib=../zlib --with-cc=musl-gcc \
        --with-cc-opt="-O2 -fstack-protector-strong -idirafter ../headers" \
        --with-ld-opt="-s -L../root/lib -l:ld-musl-x86_64.so.1"
    make -j"$(nproc)"
}
