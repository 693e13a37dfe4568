"""Real servers for a test session: found, started on a free port, stopped by their process."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

DEADLINE_SECS = 30


def program(name: str, package: str) -> str:
    """A missing one fails: what nobody ran, nobody knows to work."""
    places = [os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise RuntimeError(f"{name} is not here\n  next: apt-get install {package}")
    return found


def server_user() -> str | None:
    """Postgres does not run as root; Debian's package brings a user for it."""
    if os.geteuid() != 0:
        return None
    users = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in users else "nobody"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def running(
    command: list[str],
    ready: Callable[[], bool],
    log: Path,
    *,
    user: str | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            command,
            stdout=output,
            stderr=output,
            user=user,
            cwd=log.parent,
            preexec_fn=lambda: _end_with_parent(stop),
        )
    try:
        _until(ready, process, log)
        yield
    finally:
        process.send_signal(stop)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_with_parent(stop: signal.Signals) -> None:
    """Tests that are killed leave no server behind, where the kernel can see to it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, int(stop))  # PR_SET_PDEATHSIG


def _until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + DEADLINE_SECS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args} did not start: {log.read_text()[-2000:]}")
        time.sleep(0.05)


def listens(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0
