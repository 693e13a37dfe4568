"""The image's start, with "echo" in the place of the server."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def start(component: str | None) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"]}
    if component is not None:
        env["JETSCALE_COMPONENT"] = component
    command = ["sh", str(ROOT / "entrypoint.sh"), "echo", "server"]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603


@pytest.mark.parametrize(
    ("component", "port"), [(None, 8000), ("", 8000), ("api", 8000), ("websocket", 8001)]
)
def test_each_component_has_its_port(component, port):
    assert start(component).stdout == f"server --port {port}\n"


def test_an_unknown_component_ends_with_one_line():
    result = start("worker")
    assert result.returncode != 0
    assert result.stderr.count("\n") == 1


def test_the_image_starts_uvicorn():
    last_command = (ROOT / "Dockerfile").read_text().rsplit("\nCMD ", 1)[1]
    assert last_command.startswith('["uvicorn", ')
