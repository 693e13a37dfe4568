#!/bin/sh
# Starts the component that JETSCALE_COMPONENT names; no chart overrides a command.
# "$@" is the image's CMD: the server and its options. exec makes it PID 1, so that
# SIGTERM reaches it.
set -eu
case "${JETSCALE_COMPONENT:-api}" in
api) exec "$@" --port 8000 ;;
websocket) exec "$@" --port 8001 ;;
migrate) exec python -m jetscale_backend.migrate ;;
*)
  echo "jetscale-backend: JETSCALE_COMPONENT must be one of api, websocket, migrate" >&2
  exit 2
  ;;
esac
