#!/bin/sh
# For backend-dev: runs the server under debugpy. The debugger listens inside the pod alone; a
# port-forward to 5678 reaches it.
set -eu
if python -c 'import ctypes' 2>/dev/null; then
  exec python -Xfrozen_modules=off -m debugpy --listen 127.0.0.1:5678 /app/reload.py "$@"
fi
echo "jetscale-backend: no debugger, since this Python has no ctypes" >&2
exec python /app/reload.py "$@"
