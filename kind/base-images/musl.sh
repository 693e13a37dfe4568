# shellcheck shell=bash disable=SC2154 # tree is the recipe's, fetched is fetch_source's
# Debian's source packages, compiled for musl.

# unpack_source NAME PATH SHA256: into $tree/NAME.
unpack_source() {
    fetch_source "$2" "$3"
    mkdir -p "$tree/$1"
    tar --extract --no-same-owner --strip-components=1 --file "$fetched" --directory "$tree/$1"
}

# Debian's musl leaves out the kernel's headers and crypt.h, whose function Alpine's libc has.
musl_headers() {
    mkdir -p "$1"
    ln -s /usr/include/linux /usr/include/asm-generic /usr/include/x86_64-linux-gnu/asm "$1/"
    printf '%s\n' 'struct crypt_data { int initialized; char buf[256]; };' \
        'char *crypt(const char *, const char *);' \
        'char *crypt_r(const char *, const char *, struct crypt_data *);' >"$1/crypt.h"
}
