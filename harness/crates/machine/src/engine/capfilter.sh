#!/bin/sh
# An OCI runtime for hosts without CAP_SYS_RESOURCE, written by the harness.
#
# Docker 20.10 asks for every capability that the kernel knows when a container is privileged, and
# runc refuses one that the host cannot give. This takes it out of the capabilities of the
# container (create, run) and of a further process in it (exec), and hands over to runc.
set -eu

without_it() {
  # Most specs do not name it, and each probe of each container comes by here.
  grep -qs CAP_SYS_RESOURCE "$1" || return 0
  list='("(bounding|effective|inheritable|permitted|ambient)"[[:space:]]*:[[:space:]]*\[[^]]*)'
  umask 077
  # As one text, since JSON may be spread over lines; first where another one follows, then as the last.
  sed -E -e ':all' -e '$!{N;b all' -e '}' \
    -e ':mid' -e "s/$list\"CAP_SYS_RESOURCE\"[[:space:]]*,[[:space:]]*/\\1/;t mid" \
    -e ':end' -e "s/$list,[[:space:]]*\"CAP_SYS_RESOURCE\"[[:space:]]*\\]/\\1]/;t end" \
    -e ':one' -e "s/$list\"CAP_SYS_RESOURCE\"[[:space:]]*\\]/\\1]/;t one" \
    "$1" >"$1.harness"
  # The file keeps its owner and its mode.
  cat "$1.harness" >"$1"
  rm -f "$1.harness"
}

verb='' bundle=. process='' before=''
for word in "$@"; do
  case $before in
    -b | --bundle) bundle=$word ;;
    -p | --process) process=${process:-$word} ;;
  esac
  case $word in
    create | run | exec) verb=${verb:-$word} ;;
    --bundle=*) bundle=${word#*=} ;;
    --process=*) process=${process:-${word#*=}} ;;
  esac
  before=$word
done
case $verb in
  create | run) without_it "$bundle/config.json" ;;
  exec) [ -z "$process" ] || without_it "$process" ;;
esac
PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec runc "$@"
