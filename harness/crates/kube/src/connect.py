"""Says of each host:port whether it is open to a pod: see CONNECT in job.rs."""
import socket
import sys
import time


def ask(target):
    host, port = target.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=4):
            return "open"
    except socket.gaierror:
        return "unknown"
    except OSError as error:
        return "closed " + type(error).__name__


end = time.monotonic() + 20
split = sys.argv.index("--")
for target in sys.argv[1:split]:
    while (answer := ask(target)) != "open" and time.monotonic() < end:
        time.sleep(0.1)
    print(target, answer, flush=True)
for target in sys.argv[split + 1:]:
    print(target, ask(target), flush=True)
