# shellcheck shell=bash
# A small Debian root, and what is installed on it: packages unpacked, their maintainer scripts
# never run, their records in /var/lib/dpkg/status.d, as "distroless" images have it. The host's
# apt chooses and fetches them, with lists and archives of its own: nothing below /etc/apt or /var
# is touched.

# Who sources this may set these three before.
: "${debian_base:=base-files base-passwd bash coreutils dash findutils grep gzip hostname libc-bin mawk ncurses-base
    netbase sed tar tzdata util-linux}"

# Needed by maintainer scripts, by logins and by PostgreSQL's JIT alone.
: "${debian_dropped:=adduser|apt|debconf|debianutils|dpkg|gcc-14-base|init-system-helpers|libapt-pkg.*|libaudit-common|libbsd0|libdb5.*
    |libdebconfclient0|libio-pty-perl|libipc-run-perl|libjson-perl|liblastlog2-2|libllvm.*|libmd0|libpam-.*|libperl.*|libproc2-0
    |libsemanage.*|libsepol2|libsqlite3-0|libtext-.*|libz3-4|login.defs|openssl|openssl-provider-legacy|passwd|perl.*
    |postgresql-client-common|postgresql-common.*|procps|sensible-utils|ssl-cert|ucf}"

[[ -v debian_excluded ]] ||
    debian_excluded=('./etc/init.d/*' './usr/lib/systemd/*' './etc/pam.d/*' './usr/lib/*/bitcode/*')
readonly debian_base debian_dropped debian_excluded

# Not apt's own folder of archives: what lies there is missing from --print-uris.
readonly debian_archives=$cache/apt/$debian_suite/debs

# With a deadline: on a full disk apt waits for itself.
debian_apt() {
    APT_CONFIG=$cache/apt/$debian_suite/apt.conf timeout --kill-after=10 900 apt-get -q "$@"
}

debian_uris() { debian_apt install --yes --print-uris "${@:2}" >"$1"; }

# debian_plan PACKAGE...: what apt would install for these on an empty system, less what is
# dropped; a line for each: uri, file name, hash. Leaves the path in $planned.
debian_plan() {
    debian_updated=$cache/apt/$debian_suite/updated-$(recipe_key debian.sh)
    debian_locked apt debian_index_if_old
    planned=$cache/apt/$debian_suite/plans/$(printf '%s ' "$debian_dropped" "$@" | sha256sum | cut -c1-16)
    debian_locked apt debian_plan_if_old "$@"
}

debian_plan_if_old() {
    [[ ! $planned -nt $debian_updated ]] || return 0
    logged "debian-plan-${*: -1}" debian_uris "$planned.uris" "$@"
    sed -n "s/^'\([^']*\)' \([^ ]*\) [0-9]* \(SHA256:[0-9a-f]*\)$/\1 \2 \3/p" "$planned.uris" |
        grep -Ev "/(${debian_dropped//[[:space:]]/})_[^/]*$" | LC_ALL=C sort >"$planned.part"
    mv "$planned.part" "$planned"
}

# debian_fetch PLAN: downloads what is not there yet, verified by apt.
debian_fetch() {
    local uri name sum wanted=()
    while read -r uri name sum; do
        [[ ! -e $debian_archives/$name ]] || printf '%s  %s\n' "${sum#SHA256:}" "$debian_archives/$name"
    done <"$1" | drop_damaged
    while read -r uri name sum; do
        [[ -e $debian_archives/$name ]] || wanted+=("$uri" "$debian_archives/partial/$name" "$sum")
    done <"$1"
    ((${#wanted[@]})) || return 0
    say "debian: downloading $((${#wanted[@]} / 3)) packages"
    logged debian-download env APT_CONFIG="$cache/apt/$debian_suite/apt.conf" \
        /usr/lib/apt/apt-helper download-file "${wanted[@]}"
    while read -r uri name sum; do
        [[ ! -e $debian_archives/partial/$name ]] || mv "$debian_archives/partial/$name" "$debian_archives/$name"
    done <"$1"
}

# debian_unpack PLAN ROOT: fetches and unpacks a plan's packages, trimmed.
debian_unpack() {
    local name
    debian_locked archives debian_fetch "$1"
    mkdir -p "$2/var/lib/dpkg/status.d"
    while read -r _ name _; do
        logged debian-unpack debian_unpack_one "$debian_archives/$name" "$2"
    done <"$1"
    (cd "$2/usr/share" && rm -rf doc man info lintian bash-completion bug menu pixmaps zsh locale/*/LC_MESSAGES)
}

debian_unpack_one() {
    dpkg-deb --fsys-tarfile "$1" | tar --extract --preserve-permissions --numeric-owner --keep-directory-symlink \
        --exclude './usr/share/doc/*' --exclude './usr/share/man/*' --exclude './usr/share/locale/*/LC_MESSAGES/*' \
        "${debian_excluded[@]/#/--exclude=}" --directory "$2"
    dpkg-deb --field "$1" >"$2/var/lib/dpkg/status.d/$(basename "${1%%_*}")"
}

# debian: leaves the base layer's path in $debian_layer and its plan in $debian_layer_plan.
debian() {
    # shellcheck disable=SC2086 # a list of words
    debian_plan $debian_base
    debian_layer_plan=$planned
    debian_layer=$cache/layers/debian-$(recipe_key debian.sh)-$(plan_key "$planned").tar
    once "$debian_layer" make_debian "$planned"
}

plan_key() { sha256sum "$1" | cut -c1-16; }

make_debian() {
    local root=$work/debian
    say "debian: unpacking the base"
    debian_unpack "$1" "$root"
    debian_settle "$root"
    pack "$root" "$2"
    rm -rf "$root"
}

# debian_settle ROOT: does what the maintainer scripts of the base's packages would have done.
debian_settle() {
    local root=$1
    (
        cd "$root"
        cp usr/share/base-passwd/passwd.master etc/passwd
        cp usr/share/base-passwd/group.master etc/group
        sed 's/^\([^:]*\):.*/\1:*:20454:0:99999:7:::/' etc/passwd >etc/shadow
        chmod 640 etc/shadow
        chgrp 42 etc/shadow
        cp usr/share/base-files/profile usr/share/base-files/motd etc/
        ln -sf mawk usr/bin/awk
        mkdir -p mnt srv opt media var/mail usr/local/bin usr/local/sbin usr/local/lib run/lock
        rm -rf var/run var/lock
        ln -s /run var/run
        ln -s /run/lock var/lock
        ln -sf /usr/share/zoneinfo/Etc/UTC etc/localtime
        chmod 1777 tmp var/tmp run/lock
        chmod 700 root
    )
    logged debian in_root "$root" ldconfig
    rm -rf "$root/var/cache/ldconfig"
}

# debian_extra FILE PACKAGE...: the plan of what these packages add to the base.
debian_extra() {
    local file=$1
    shift
    # shellcheck disable=SC2086 # a list of words
    debian_plan $debian_base "$@"
    LC_ALL=C comm -13 "$debian_layer_plan" "$planned" >"$file"
}

# debian_start ROOT EXTRA_PLAN: the base with the plan's packages on top; what is newer than
# ROOT.marker is the layer.
debian_start() {
    mkdir -p "$1"
    tar --extract --preserve-permissions --numeric-owner --file "$debian_layer" --directory "$1"
    touch "$1.marker"
    debian_unpack "$2" "$1"
}

# debian_finish ROOT LAYER BINARY...: fails when a library of these was dropped.
debian_finish() {
    local root=$1 layer=$2 lost
    shift 2
    logged debian in_root "$root" ldconfig
    lost=$(in_root "$root" sh -c 'for file; do ldd "$file"; done' - "$@" | grep 'not found' || true)
    [[ -z $lost ]] || fail "the plan lacks libraries of $*: $lost"
    rm -rf "$root"/var/cache/ldconfig "$root"/tmp/*
    pack_newer "$root" "$root.marker" "$layer"
    rm -rf "$root" "$root.marker"
}

# debian_user ROOT NAME UID HOME SHELL: a user with a group of its own, of the same number.
debian_user() {
    printf '%s:x:%s:\n' "$2" "$3" >>"$1/etc/group"
    printf '%s:x:%s:%s::%s:%s\n' "$2" "$3" "$3" "$4" "$5" >>"$1/etc/passwd"
    printf '%s:*:20454:0:99999:7:::\n' "$2" >>"$1/etc/shadow"
}

# debian_locked NAME COMMAND...: apt does not share its lists and archives.
debian_locked() {
    local lock
    exec {lock}>"$cache/locks/$debian_suite-$1"
    flock "$lock"
    "${@:2}"
    exec {lock}>&-
}

# Writes apt's configuration and reads the archive's index, at most once an hour.
debian_index_if_old() {
    local folder=$cache/apt/$debian_suite
    [[ -z $(find "$debian_updated" -mmin -60 2>/dev/null) ]] || return 0
    say "debian: reading $debian_suite's index"
    logged debian-index debian_configure "$folder"
    logged debian-index debian_apt update --error-on=any
    touch "$debian_updated"
}

debian_configure() {
    local folder=$1 mirror security keys=/usr/share/keyrings/debian-archive-keyring.gpg
    mirror=$(debian_mirror)
    security=$(debian_security_mirror)
    mkdir -p "$folder"/{lists,archives,debs}/partial "$folder/plans"
    {
        printf 'deb [signed-by=%s] %s %s main\n' "$keys" "$mirror" "$debian_suite"
        printf 'deb [signed-by=%s] %s %s-updates main\n' "$keys" "$mirror" "$debian_suite"
        [[ -z $security ]] || printf 'deb [signed-by=%s] %s %s-security main\n' "$keys" "$security" "$debian_suite"
    } >"$folder/sources.list"
    # How the host reaches its mirror (proxy, certificates), but none of its hooks.
    apt-config dump Acquire >"$folder/apt.conf"
    cat >>"$folder/apt.conf" <<CONF
Acquire::Languages "none";
Acquire::ForceHash "SHA256";
#clear Acquire::GzipIndexes;
#clear Acquire::IndexTargets;
Acquire::IndexTargets::deb::Packages { MetaKey "\$(COMPONENT)/binary-\$(ARCHITECTURE)/Packages"; ShortDescription "Packages"; Description "Packages"; flatMetaKey "Packages"; flatDescription "Packages"; Optional "no"; };
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "$folder/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "$folder";
Dir::State::lists "$folder/lists";
Dir::State::status "/dev/null";
Dir::Cache "$folder";
Dir::Cache::archives "$folder/archives";
CONF
}

debian_security_mirror() {
    apt-get indextargets --format '$(REPO_URI) $(LABEL)' 2>/dev/null |
        awk '$2 == "Debian-Security" { sub("/$", "", $1); print $1; exit }'
}
