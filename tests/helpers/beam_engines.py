"""Apache Flink and Apache Spark on this machine, as ``make beam-engines`` brings them, with Beam's runners."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import unittest
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tests.helpers.studies import REPOSITORY

Engine = Literal["flink", "spark"]

_ENGINES = REPOSITORY / ".cache" / "beam-engines"
_MAIN = {
    "flink": "org.apache.beam.runners.flink.FlinkJobServerDriver",
    "spark": "org.apache.beam.runners.spark.SparkJobServerDriver",
}
_RUNNERS = {"flink": "FlinkRunner", "spark": "SparkRunner"}
_TASKS = {"flink": "parallelism=2", "spark": "spark_master_url=local[2]"}


def engine(name: Engine, folder: Path) -> tuple[str, tuple[str, ...]]:
    """The name of its runner, and options of it for two tasks at a time.

    Args:
        name: the engine.
        folder: a file of a job server is written there, which only names the files that the engine is made of.

    Raises:
        SkipTest: it is not on this machine.
    """
    files = sorted((_ENGINES / name).glob("*.jar"))
    if shutil.which("java") is None or not files:
        raise unittest.SkipTest(f"{name}: needs Java, and its files in {_ENGINES}: make beam-engines")
    server = folder / f"{name}.jar"
    paths = "Class-Path: " + " ".join(path.as_uri() for path in files)
    with zipfile.ZipFile(server, "w") as jar:
        lines = "\n ".join(re.findall(".{1,70}", paths))  # of at most 72 bytes, by the format
        jar.writestr("META-INF/MANIFEST.MF", f"Main-Class: {_MAIN[name]}\n{lines}\n")
    return _RUNNERS[name], (f"{name}_job_server_jar={server}", "job_server_jvm_properties=-Xmx2g", _TASKS[name])


def boot(folder: Path) -> str:
    """The option by which the engine starts a process of its own for each worker."""
    command = folder / "boot"
    command.write_text(f'#!/bin/sh\ncd "{REPOSITORY}" && exec "{sys.executable}" -m tests.helpers.beam_boot "$@"\n')
    command.chmod(0o755)
    return f"environment_config={json.dumps({'command': str(command)})}"


@contextlib.contextmanager
def worker_pool() -> Iterator[str]:
    """A pool of workers, each in a process, that lives as long as this; the option that names it."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the pool runs `python`
    with subprocess.Popen(
        [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"],
        env=os.environ | {"PATH": path}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as pool:  # fmt: skip
        try:
            yield f"environment_config=localhost:{port}"
        finally:
            pool.terminate()
