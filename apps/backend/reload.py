"""For backend-dev: uvicorn with reload, forked from a process that has the libraries already.

uvicorn starts a new interpreter at each reload, and importing the libraries is most of its time
(1.2 of 1.4 s of CPU, measured). Here a server of multiprocessing's imports them once; each reload
forks it and imports what is ours. A change of requirements is a new image, so it never holds an
old library.
"""

import multiprocessing
import sys

import uvicorn._subprocess
import uvicorn.main

# What the package imports, directly or not; a name that is missing costs time and nothing else.
LIBRARIES = [
    "argon2",
    "fastapi",
    "jwt",
    "redis.asyncio",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.ext.asyncio",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
]

if __name__ == "__main__":
    multiprocessing.set_forkserver_preload(LIBRARIES)
    # uvicorn has no setting for it; tests/test_reload.py shows that the name is still there.
    uvicorn._subprocess.spawn = multiprocessing.get_context("forkserver")
    sys.argv = sys.argv[1:]
    uvicorn.main.main()
