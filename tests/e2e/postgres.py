"""A PostgreSQL cluster of a test's own, on loopback, gone afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "hush-hush"
USER = "mediafm"


@dataclass(frozen=True)
class Cluster:
    """port: of 127.0.0.1. programs: the folder of psql, pg_dump and the others."""

    port: int
    programs: Path

    def url(self, database: str, driver: str = "+psycopg2") -> str:
        return f"postgresql{driver}://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def sql(self, database: str, statement: str) -> str:
        """What psql answers, one row a line."""
        command = [self.programs / "psql", "-AtX", "-v", "ON_ERROR_STOP=1", self.url(database, ""), "-c", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def programs_folder() -> Path | None:
    """Where initdb and pg_ctl are; Debian keeps them out of PATH. None: PostgreSQL is not installed."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((each for each in folders if (each / "pg_ctl").exists() and (each / "psql").exists()), None)


@contextmanager
def running_cluster(programs: Path) -> Iterator[Cluster]:
    """A fresh cluster with the databases `dagster`, `mlflow` and `other`; it runs as nobody where we are root."""
    user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    place = Path(tempfile.mkdtemp(prefix="mediafm-pg-"))
    if user:
        shutil.chown(place, "nobody", "nogroup")
    (place / "password").write_text(PASSWORD)
    (place / "password").chmod(0o644)

    def call(program: str, *arguments: str) -> None:
        # pg_ctl's server keeps its standard output open: nobody may wait for that to end.
        subprocess.run(
            [programs / program, *arguments], check=True, timeout=120, cwd=place, stdout=subprocess.DEVNULL, **user
        )

    data = str(place / "data")
    try:
        call("initdb", "-D", data, "-U", USER, "-A", "scram-sha-256", f"--pwfile={place / 'password'}", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={place} -c fsync=off"
        call("pg_ctl", "-D", data, "-w", "-l", str(place / "log"), "-o", options, "start")
        try:
            cluster = Cluster(port, programs)
            for name in ("dagster", "mlflow", "other"):
                cluster.sql("postgres", f"CREATE DATABASE {name}")
            yield cluster
        finally:
            call("pg_ctl", "-D", data, "-w", "-m", "fast", "stop")
    finally:
        shutil.rmtree(place)
