# shellcheck shell=bash
# Running steps: progress, background jobs, locks, a work folder that goes away.

say() { printf '%s: %4ds %s\n' "${recipes:-base-images}" "$SECONDS" "$*" >&2; }

fail() {
    printf '%s: error: %s\n' "${recipes:-base-images}" "$*" >&2
    exit 1
}

# Makes the work folder and removes it, with all that runs, however this ends. A folder whose
# maker was killed outright is removed by the next run: its lock is free then.
open_work() {
    mkdir -p "$cache"/{downloads,layers,locks,work}
    local old
    for old in "$cache"/work/*/; do
        [[ ! -e $old/lock ]] || flock -n "$old/lock" rm -rf --one-file-system "$old" || true
    done
    exec {sweep_lock}>"$cache/locks/work"
    flock "$sweep_lock"
    work=$(mktemp -d "$cache/work/XXXXXX")
    exec {work_lock}>"$work/lock"
    flock "$work_lock"
    exec {sweep_lock}>&-
    trap close_work EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    find "$cache/layers" "$cache/downloads" -type f -mtime +30 -delete
    find "$cache" -path '*/debs/*' -type f -ctime +30 -delete
}

close_work() {
    local status=$? job
    trap '' HUP INT TERM
    for job in $(jobs -p); do kill -- "-$job" 2>/dev/null || true; done
    wait
    rm -rf --one-file-system "$work"
    exit "$status"
}

# start FUNCTION ARG...: runs it in the background, the outermost ones in a process group of their
# own, so that all that they started can be ended; the job is left in $started.
start() {
    [[ $BASHPID != "$$" ]] || set -m
    (
        set +m
        trap - EXIT
        "$@"
    ) &
    started=$!
    set +m
}

# finish JOB...: waits for all; the first failure, whichever job it is in, ends the run.
finish() {
    local ended job
    local -A left=()
    for job; do left[$job]=; done
    while ((${#left[@]})); do
        wait -n -p ended "${!left[@]}" || exit 1
        unset "left[$ended]"
    done
}

# logged NAME COMMAND...: runs with its output in a file, whose end is shown on failure. As a job
# of its own, since bash ignores `set -e` in all that a condition calls.
logged() {
    local name=$1 log=$work/$1.log
    shift
    ("$@") >>"$log" 2>&1 </dev/null &
    wait "$!" || {
        printf '    %s\n' "$(tail -n 25 "$log")" >&2
        fail "$name failed; the end of its log is above"
    }
}

# once FILE FUNCTION ARG...: unless FILE exists, calls FUNCTION ARG... TEMPORARY and renames
# that to FILE. Of several processes one does it, the others wait for it.
once() {
    local file=$1 lock
    shift
    if [[ ! -e $file ]]; then
        exec {lock}>"$cache/locks/$(basename "$file")"
        flock "$lock"
        if [[ ! -e $file ]]; then
            rm -rf "$file.part"
            "$@" "$file.part"
            mv "$file.part" "$file"
        fi
        exec {lock}>&-
    fi
    # For the sweep of what is long unused, but not while others read it.
    find "$file" -mtime +0 -exec touch {} +
}

# need_host_packages WHAT:PACKAGE...: installs what the recipes need on the host (commands, or files
# by their paths), where it is missing.
need_host_packages() {
    local missing=() pair
    for pair; do
        case $pair in
        /*) [[ -e ${pair%:*} ]] ;;
        *) command -v "${pair%:*}" >/dev/null ;;
        esac || missing+=("${pair#*:}")
    done
    ((${#missing[@]})) || return 0

    local command="apt-get install -y --no-install-recommends ${missing[*]}"
    command -v apt-get >/dev/null || fail "missing here: ${missing[*]} (by their Debian names)"
    say "installing on this machine: ${missing[*]}"
    start install_host_packages "${missing[@]}"
    wait "$started" || fail "could not install what is missing; run: apt-get update && $command"
}

# Its own folder of archives: another apt's clean-up hook would empty the shared one meanwhile. The
# lock is shared by all that use these functions, whatever their cache.
install_host_packages() {
    local lock archives=$work/archives
    mkdir -p "$archives/partial"
    exec {lock}>"${cache%/*}/host-packages.lock"
    flock "$lock"
    logged host-packages host_apt "$archives" update
    logged host-packages host_apt "$archives" install --yes --no-install-recommends "$@"
}

host_apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -o "Dir::Cache::archives=$1" -o DPkg::Lock::Timeout=120 "${@:2}"
}
