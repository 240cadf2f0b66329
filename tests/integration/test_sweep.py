"""Sweeps: a file of builds, carried out in processes here and on a Ray cluster that loses a node."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgeslm.errors import ConfigError, MissingExtraError, ToolchainError
from edgeslm.sweep import cluster, local, worker_process
from edgeslm.sweep.file import read_sweep
from edgeslm.sweep.job import Job, JobResult
from edgeslm.sweep.run import SweepReport, sweep
from tests.conftest import ROOT, Answer

Edgeslm = Callable[..., Answer]


@pytest.fixture(scope="module")
def bert(checkpoint_of: Callable[..., Path]) -> Path:
    return checkpoint_of("bert")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are processes of their own, and run this package."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))


def written(folder: Path, text: str) -> Path:
    path = folder / "sweep.toml"
    path.write_text(text, encoding="utf-8")
    return path


def two_ways(folder: Path, bert: Path, *ways: str) -> Path:
    builds = "".join(f"\n[[build]]\n{way}\n" for way in ways or ('scheme = "int8"', 'scheme = "fp32"'))
    return written(folder, f'models = ["{bert}"]\ntargets = ["rpi4"]\n{builds}')


def run(jobs: Sequence[Job], out: Path, workers: int = 1) -> SweepReport:
    return sweep(jobs, out, lambda missing: local.run_here(missing, out, workers), lambda result: None)


def test_a_sweep_builds_what_is_missing_and_keeps_what_is_there(
    edgeslm: Edgeslm, bert: Path, tmp_path: Path, here: None
) -> None:
    file, out = two_ways(tmp_path, bert, 'scheme = "int8"', 'scheme = "int5"'), tmp_path / "out"
    first = edgeslm("sweep", file, "-o", out, "--json")
    assert first.status == 3, first.stderr
    good, bad = first.json["results"]
    assert first.json["kept"] == []
    assert bad["error"]["kind"] == "UnsupportedSchemeError"
    bundle = out / good["job"]["key"][:16] / good["bundle"]
    before = bundle.stat().st_mtime_ns
    second = edgeslm("sweep", file, "-o", out, "--json")
    assert second.json["kept"] == [good["job"]["key"]]  # what failed is tried again
    assert second.json["results"] == first.json["results"]
    assert bundle.stat().st_mtime_ns == before
    assert len(list((out / "results").iterdir())) == 2


def test_all_mistakes_of_a_file_are_said_at_once(bert: Path, tmp_path: Path) -> None:
    file = written(
        tmp_path,
        f"""
models = ["/nowhere", "{bert}"]
targets = ["rpi44"]
more = 1
[[build]]
scheme = "int8"
max_size = "14MB"
[[build]]
max_sise = "1MB"
[[build]]
max_size = "14XB"
[[build]]
max_length = "8"
[[build]]
objective = "size"
[[build]]
max_latency = "5ms"
max_instructions = "5M"
[[build]]
calibration = "nowhere.txt"
""",
    )
    with pytest.raises(ConfigError) as caught:
        read_sweep(file)
    told = caught.value.message
    assert "has 10 mistakes" in told
    for part in ("more: no such key", "'/nowhere'", "'rpi44'", "build 1: scheme and limits exclude each other",
                 "did you mean max_size?", "'14XB' is not a size", "build 4: max_length", "build 5: objective size",
                 "build 6: max_latency and max_instructions", "build 7: calibration"):  # fmt: skip
        assert part in told


def test_a_job_is_another_one_when_its_model_changes(bert: Path, tmp_path: Path) -> None:
    first = read_sweep(two_ways(tmp_path, bert))
    assert len({job.key for job in first}) == 2
    assert read_sweep(two_ways(tmp_path, bert)) == first


def test_a_worker_that_is_killed_is_started_again(
    bert: Path, tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker of the job dies as one that is out of memory does; the second one builds."""
    real, started = worker_process.carried_out, []

    def dying(command: list[str], *given: Any) -> Any:
        started.append(command)
        if len(started) == 1:
            return subprocess.CompletedProcess(command, -9, "", "")
        return real(command, *given)

    monkeypatch.setattr(worker_process, "carried_out", dying)
    (job, _) = read_sweep(two_ways(tmp_path, bert))
    report = run([job], tmp_path / "out")
    assert report.results[0].error is None
    assert len(started) == 2


@pytest.mark.parametrize(
    ("status", "how"),
    [(-9, "was killed, as one is that has no memory left"), (12, "had no memory left"), (-11, "was ended by SIGSEGV")],
)
def test_a_worker_that_always_dies_is_given_up(
    status: int, how: str, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []

    def dying(*given: object) -> subprocess.CompletedProcess[str]:
        started.append(given)
        return subprocess.CompletedProcess("", status, "", "")

    monkeypatch.setattr(worker_process, "carried_out", dying)
    jobs = read_sweep(two_ways(tmp_path, bert))
    report = run(jobs, tmp_path / "out", workers=2)
    assert len(started) == 2 * 3
    for result in report.results:
        assert result.error is not None
        assert result.error.message == f"the worker {how}, 3 times"
        assert (result.error.exit_code, "--jobs 1" in str(result.error.hint)) == (5, True)


def test_ctrl_c_ends_the_workers_and_lets_them_tidy_up(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers are in sessions of their own, where no terminal reaches them."""
    started, tidied = tmp_path / "started", tmp_path / "tidied"
    worker = tmp_path / "worker"
    lines = [f"#!{sys.executable}", "import pathlib, signal, time", "signal.signal(2, signal.default_int_handler)"]
    lines += ["try:", f"    pathlib.Path({str(started)!r}).touch()", "    time.sleep(60)"]
    lines += ["finally:", f"    pathlib.Path({str(tidied)!r}).touch()"]
    worker.write_text("\n".join([*lines, ""]), encoding="utf-8")
    worker.chmod(0o755)
    monkeypatch.setattr("edgeslm.sweep.worker_process.sys.executable", str(worker))

    def press() -> None:
        while not started.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    pressing = threading.Thread(target=press, daemon=True)
    pressing.start()
    with pytest.raises(KeyboardInterrupt):
        run(read_sweep(two_ways(tmp_path, bert)), tmp_path / "out")
    pressing.join()
    assert tidied.exists()
    assert not (tmp_path / "out").exists()


def test_a_worker_whose_sweep_is_gone_ends(tmp_path: Path) -> None:
    """It is interrupted, not cut off: its temporary folders go with it."""
    code = """
import threading, time
from edgeslm.sweep import worker
try:
    threading.Thread(target=worker._end_with_parent, args=(-1,), daemon=True).start()
    time.sleep(60)
except KeyboardInterrupt:
    print("tidied")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout == "tidied\n"


def test_a_result_that_comes_twice_counts_once(bert: Path, tmp_path: Path) -> None:
    jobs = read_sweep(two_ways(tmp_path, bert))

    def twice(missing: Sequence[Job]) -> Iterator[JobResult]:
        for job in [*missing, *missing]:
            yield JobResult(job=job, bundle="a.edgeslm", digest=str(len(told)))

    told: list[JobResult] = []
    report = sweep(jobs, tmp_path / "out", twice, told.append)
    assert [result.digest for result in report.results] == ["0", "1"]
    assert len(told) == 2


def test_a_cluster_that_is_not_there_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeslm.sweep.cluster.importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="ray"):
        list(cluster.run_on_cluster([], tmp_path, "127.0.0.1:1"))
    monkeypatch.setattr("edgeslm.sweep.cluster.importlib.util.find_spec", lambda name: object())
    with pytest.raises(ToolchainError, match="no Ray cluster answers at"):
        list(cluster.run_on_cluster([], tmp_path, "127.0.0.1:1"))
    with pytest.raises(ConfigError, match="is no address"):
        list(cluster.run_on_cluster([], tmp_path, "somewhere"))


def test_what_is_no_ray_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One server answers otherwise, one never does: Ray itself would try for a minute."""
    monkeypatch.setattr("edgeslm.sweep.cluster.importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr(cluster, "REACH_S", 0.2)
    kept: list[socket.socket] = []
    for answer in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b""):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]

            def serve(server: socket.socket = server, answer: bytes = answer) -> None:
                kept.append(server.accept()[0])
                kept[-1].sendall(answer)

            serving = threading.Thread(target=serve)
            serving.start()
            with pytest.raises(ToolchainError, match=f"no Ray cluster answers at 127.0.0.1:{port}: ") as caught:
                list(cluster.run_on_cluster([], tmp_path, f"127.0.0.1:{port}"))
            serving.join()
            kept.pop().close()
        assert ("is no Ray" if answer else "timed out") in caught.value.message


def patiently(start: Callable[[], Any]) -> Any:
    """Ray gives a node 30 seconds to start, which a busy machine may need more than once."""
    for _ in range(4):
        with contextlib.suppress(Exception):
            return start()
    return start()


@pytest.mark.deep
def test_a_cluster_that_loses_a_node_still_ends_every_job_once(bert: Path, tmp_path: Path, here: None) -> None:
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    from ray.cluster_utils import Cluster

    nodes = patiently(lambda: Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}))
    lost: list[float] = []
    try:
        second = patiently(lambda: nodes.add_node(num_cpus=1))
        nodes.wait_for_nodes()
        ways = [f'scheme = "{name}"' for name in ("int8", "fp32", "fp16")]
        jobs = read_sweep(two_ways(tmp_path, bert, *ways))

        def lose_a_node() -> None:
            while not ray.is_initialized() or ray.available_resources().get("CPU", 0) > 0:
                time.sleep(0.2)
            nodes.remove_node(second, allow_graceful=False)
            lost.append(time.monotonic())

        killer = threading.Thread(target=lose_a_node, daemon=True)
        killer.start()
        out = tmp_path / "out"
        told: list[JobResult] = []
        report = sweep(jobs, out, lambda missing: cluster.run_on_cluster(missing, out, nodes.address), told.append)
        killer.join(timeout=60)
    finally:
        nodes.shutdown()
    assert lost, "both nodes were never busy at once"
    assert [result.error for result in report.results] == [None] * 3
    assert sorted(result.job.key for result in told) == sorted(job.key for job in jobs)
    for result in report.results:
        assert (out / result.job.key[:16] / str(result.bundle)).is_file()
        kept = json.loads((out / "results" / result.file).read_text(encoding="utf-8"))
        assert kept["digest"] == result.digest
