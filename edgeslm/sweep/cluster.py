"""Jobs on a Ray cluster: what a node that died was doing is done again on another one."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgeslm.cache import cache_folder
from edgeslm.errors import ConfigError, InternalError, MissingExtraError, ToolchainError
from edgeslm.formats.archive import replacing
from edgeslm.formats.quiet import quiet_output
from edgeslm.sweep.job import Job, JobResult
from edgeslm.sweep.worker_process import ATTEMPTS, WorkerLostError, run_worker, worker_error

REACH_S = 5.0
SETTINGS = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, SETTINGS, 0, 0, 0, 0, 0])
"""How a client of HTTP/2, which Ray's head speaks, begins (RFC 9113, 3.4); a server's first frame is its settings."""


def run_on_cluster(jobs: Sequence[Job], out: Path, address: str) -> Iterator[JobResult]:
    """Results as they come, each once. `address` is the head's, HOST:PORT.

    Raises MissingExtraError without Ray, ToolchainError where no cluster answers.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError("ray", "ray", "a sweep on a cluster")
    _require_reachable(address)
    import ray  # type: ignore[import-untyped, unused-ignore]  # imported where it is asked for: it takes seconds

    try:
        with quiet_output(cache_folder() / "logs" / "ray.log"):  # it tells each try to reach the cluster
            ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _unreachable(address, (str(error).splitlines() or [type(error).__name__])[0]) from None
    try:
        yield from _results(ray, jobs, out)
    finally:
        ray.shutdown()


def _results(ray: Any, jobs: Sequence[Job], out: Path) -> Iterator[JobResult]:
    remote = ray.remote(num_cpus=1, max_retries=0)(run_away)  # attempts are counted here
    running = {remote.remote(job.model_dump(mode="json")): (job, 1) for job in jobs}
    while running:
        done, _ = ray.wait(list(running), num_returns=1)
        job, attempt = running.pop(done[0])
        try:
            found, files = ray.get(done[0])
        except ray.exceptions.RayError as error:  # the worker or its node was lost, or had no memory left
            cause = getattr(error, "cause", None)
            if isinstance(error, ray.exceptions.RayTaskError) and not isinstance(cause, WorkerLostError):
                failed = InternalError(f"the worker failed: {cause}", "Ray's logs on that node tell more")
                yield JobResult(job=job, error=worker_error(failed))
            elif attempt < ATTEMPTS:
                running[remote.remote(job.model_dump(mode="json"))] = (job, attempt + 1)
            else:
                yield JobResult(job=job, error=worker_error(_lost(ray, error)))
            continue
        folder = out / job.key[:16]
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            with replacing(folder / Path(name).name) as partial:
                partial.write_bytes(content)
        yield JobResult.model_validate(found)


def run_away(job: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """On a node: the result, and the files that belong to it by name. Raises WorkerLostError."""
    with tempfile.TemporaryDirectory(prefix="edgeslm-sweep-") as folder:
        result = run_worker(Job.model_validate(job), Path(folder))
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}
        return result.model_dump(mode="json"), files


def _lost(ray: Any, error: Exception) -> ToolchainError:
    cause = getattr(error, "cause", None)
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        what = "was killed, as its node had no memory left"
    else:
        what = str(cause) if isinstance(cause, WorkerLostError) else f"was lost ({type(error).__name__})"
    return ToolchainError(f"the worker {what}, {ATTEMPTS} times", "give the nodes more memory, or fewer CPUs")


def _require_reachable(address: str) -> None:
    """Ray itself waits a minute for what is not there."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit():
        raise ConfigError(f"--ray {address} is no address", "HOST:PORT of the cluster's head, as `ray start` prints it")
    try:
        with contextlib.closing(socket.create_connection((host, int(port)), timeout=REACH_S)) as line:
            line.sendall(PREFACE)
            first = line.recv(9)
    except OSError as error:
        raise _unreachable(address, error.strerror or str(error)) from None
    if len(first) < 4 or first[3] != SETTINGS:
        raise _unreachable(address, "what listens there is no Ray")


def _unreachable(address: str, why: str) -> ToolchainError:
    return ToolchainError(
        f"no Ray cluster answers at {address}: {why}", "`ray status --address` there; without --ray jobs run here"
    )
