"""What reload.py relies on, which uvicorn does not promise."""

import multiprocessing

import uvicorn
from uvicorn import _subprocess


def test_a_new_server_is_forked_once_the_name_is_replaced(monkeypatch):
    monkeypatch.setattr(_subprocess, "spawn", multiprocessing.get_context("forkserver"))
    process = _subprocess.get_subprocess(uvicorn.Config("app:app"), print, [])
    assert type(process).__name__ == "ForkServerProcess"
