#!/bin/sh
# nginx looks its upstreams up once, when it starts, and ends when a name does not resolve. On a
# fresh cluster name resolution, and the policy that allows it, may follow the pod by seconds: so
# it is started once its names resolve. Any other problem is nginx's own to tell.
set -u
trap 'exit 0' TERM QUIT INT
tries=60
while [ "$tries" -gt 0 ]; do
  case $(nginx -e stderr -t -q 2>&1) in
  *"host not found"*) tries=$((tries - 1)) ;;
  *) break ;;
  esac
  # In the background, so that a signal ends the wait at once.
  sleep 0.5 &
  wait "$!"
done
exec "$@"
