# shellcheck shell=bash
# Downloads from the host's own package index and mirror, verified and kept.

# drop_damaged: of a list of sums and files, as sha256sum reads it, removes each file that has another
# sum by now: what a broken disk or a cut-off copy of the cache left is fetched anew.
drop_damaged() {
    local file
    { sha256sum --check --quiet 2>/dev/null || true; } | while IFS= read -r file; do
        file=${file%: FAILED*}
        say "damaged, and fetched anew: $(basename "$file")"
        rm -f "$file"
    done
}

# fetch_wheel REQUIREMENT SHA256: leaves the path in $fetched.
fetch_wheel() {
    fetched=$cache/downloads/$2.whl
    [[ ! -e $fetched ]] || drop_damaged <<<"$2  $fetched"
    once "$fetched" download_wheel "$1" "$2"
}

# --platform, so that the host's Python and libc do not matter; pip names the file itself.
download_wheel() {
    local folder
    folder=$(mktemp -d "$work/wheel.XXXXXX")
    say "downloading $1"
    printf '%s --hash=sha256:%s\n' "$1" "$2" >"$folder/requirements"
    logged "download-${1%%=*}" pip3 download --quiet --no-deps --no-cache-dir --require-hashes --only-binary :all: \
        --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux_2_31_x86_64 \
        --platform musllinux_1_2_x86_64 --platform any --dest "$folder" --requirement "$folder/requirements"
    mv "$folder"/*.whl "$3"
}

# fetch_source PATH SHA256: a file below the mirror's pool/main; leaves the path in $fetched.
fetch_source() {
    fetched=$cache/downloads/$2-$(basename "$1")
    [[ ! -e $fetched ]] || drop_damaged <<<"$2  $fetched"
    once "$fetched" download_source "$1" "$2"
}

download_source() {
    say "downloading $(basename "$1")"
    logged "download-$(basename "$1")" curl --fail --silent --show-error --location --retry 3 \
        --output "$3" "$(debian_mirror)/pool/main/$1"
    printf '%s  %s\n' "$2" "$3" | sha256sum --check --quiet || fail "$1 from $(debian_mirror) has another sha256 than pins.sh"
}

# The first mirror in the host's apt sources that carries Debian itself.
debian_mirror() {
    local found=${DEBIAN_MIRROR:-}
    [[ -n $found ]] || found=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(COMPONENT) $(LABEL)' 2>/dev/null |
        awk '$2 == "Debian" && $3 == "main" && $4 == "Debian" { print $1; exit }')
    [[ -n $found ]] || fail "no Debian mirror in this machine's apt sources; name one: DEBIAN_MIRROR=... $0 ..."
    printf '%s\n' "${found%/}"
}
