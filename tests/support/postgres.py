"""A throw-away PostgreSQL server: a data directory of its own, a socket of its own, no port, gone at the end."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

_SETTINGS = {
    "listen_addresses": "''",  # a socket only: no port to clash with
    "shared_buffers": "32MB",
    "max_connections": "60",
}


def binaries() -> Path | None:
    """The folder of initdb, pg_ctl and postgres; None where PostgreSQL is not installed."""
    found = [folder for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin")) if (folder / "initdb").exists()]
    if found:
        return found[-1]
    on_path = shutil.which("pg_ctl")
    return Path(on_path).resolve().parent if on_path else None


class Server:
    """A running server; `database` makes an empty database and gives its URL."""

    def __init__(self, folder: Path, programs: Path, user: str, *, fsync: bool) -> None:
        self._folder, self._programs, self._user = folder, programs, user
        self._settings = _SETTINGS | {"fsync": "on" if fsync else "off"}

    def database(self, *, like: str = "") -> str:
        """Make an empty database, or one like another that nobody is connected to; gives its SQLAlchemy URL."""
        name = f"hitl_{uuid4().hex}"
        self._admin(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{make_url(like).database}"' if like else ""))
        return f"postgresql+psycopg://{self._user}@/{name}?host={self._folder}"

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self._admin(f'DROP DATABASE "{make_url(url).database}" WITH (FORCE)')

    def start(self) -> None:
        """Start the server, or start it again."""
        options = " ".join(f"-c {name}={value}" for name, value in self._settings.items())
        options += f" -c unix_socket_directories={self._folder}"
        self._run(
            "pg_ctl", "-D", str(self._folder / "data"), "-l", str(self._folder / "log"), "-w", "-o", options, "start"
        )

    def stop(self) -> None:
        """Stop the server at once, as a crash would."""
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", "-m", "immediate", "stop")

    def make(self) -> None:
        """Make an empty cluster that trusts whoever reaches its socket."""
        self._run("initdb", "-D", str(self._folder / "data"), "-U", self._user, "--auth=trust", "--encoding=UTF8")

    def _admin(self, statement: str) -> None:
        with psycopg.connect(host=str(self._folder), user=self._user, dbname="postgres", autocommit=True) as admin:
            admin.execute(statement)

    def _run(self, program: str, *arguments: str) -> None:
        # PostgreSQL refuses to run as root
        user = {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid} if os.geteuid() == 0 else {}
        command = [str(self._programs / program), *arguments]
        with (self._folder / "output").open("ab") as output:
            done = subprocess.run(command, stdout=output, stderr=output, cwd=self._folder, check=False, **user)
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{(self._folder / 'output').read_text()[-4000:]}")


@contextmanager
def running(*, fsync: bool = True) -> Iterator[Server]:
    """Run a server while the block runs, or skip the test where there is none.

    Without `fsync` it is quicker and survives all but the fall of the machine.
    """
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="hitl-pg-", dir="/tmp"))  # socket paths must be short
    if os.geteuid() == 0:
        shutil.chown(folder, user)
    server = Server(folder, programs, user, fsync=fsync)
    try:
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
