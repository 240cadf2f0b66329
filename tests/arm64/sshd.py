"""Devices behind SSH: OpenSSH's own server on loopback, on arm64 and on this machine.

The arm64 one runs in a Debian bookworm of its own, every process of it emulated: proot shows it that folder as its
root and starts each program under qemu-aarch64. It needs no binfmt_misc, and no root where users may have namespaces.
The system is unpacked once and kept, under the digest of its recipe, in the user's cache folder (EDGESLM_TEST_ROOTFS
moves it); a device brings its own home, /tmp and CPU. The other one is this machine's sshd, for latencies that are
some.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from edgeslm.digest import json_digest
from edgeslm.emulator.cores import CPUS, cpuinfo, lay_processors

SUITE = "bookworm"
PACKAGES = (
    "python3", "python3-venv", "libstdc++6", "openssh-server", "openssh-sftp-server", "coreutils", "procps", "dash",
    "bash", "findutils", "grep", "sed", "libc-bin", "base-passwd", "hostname", "util-linux", "debianutils",
)  # fmt: skip
LAYOUT = 1  # counts up when the system is laid out differently
CORE = "cortex-a72"
USER = "root"
PASSWORD = "raspberry"
SSHD = "/usr/sbin/sshd"
OWN_ROOT = () if os.geteuid() == 0 else ("--map-root-user",)
"""sshd changes its root and its user: a namespace in which its user may, where it is not root."""
PACKAGE_OF = {"qemu-aarch64": "qemu-user", "mmdebstrap": "mmdebstrap", "proot": "proot", "ssh-keygen": "openssh-client"}


def problem() -> str | None:
    """What keeps an arm64 device from being made or run here, with the line that helps."""
    absent = [package for tool, package in PACKAGE_OF.items() if shutil.which(tool) is None]
    if absent:
        return f"apt-get install {' '.join(absent)}   (for a device behind SSH)"
    if OWN_ROOT and subprocess.run(["unshare", *OWN_ROOT, "true"], capture_output=True, check=False).returncode != 0:
        return "a device behind SSH needs root here, or sysctl kernel.unprivileged_userns_clone=1"
    return None


def host_problem() -> str | None:
    """The same for this machine as a device."""
    return None if Path(SSHD).exists() else "apt-get install openssh-server   (for this machine as a device)"


@dataclass(frozen=True)
class Device:
    """A device that accepts `identity` and, on arm64, PASSWORD. `home` is its user's home, seen from here."""

    port: int
    folder: Path
    home: Path
    user: str
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}"

    @property
    def identity(self) -> Path:
        return self.folder / "identity"

    @property
    def fingerprint(self) -> str:
        """Of its host key."""
        return _call(["ssh-keygen", "-lf", str(self.folder / "etc/host_key.pub")]).split()[1]

    @property
    def mounted_home(self) -> Path:
        """Its home as only the device sees it, with what is mounted there."""
        return Path(f"/proc/{self.process.pid}/root{self.home}")

    @property
    def known(self) -> str:
        """Its line of known_hosts."""
        kind, key = (self.folder / "etc/host_key.pub").read_text().split()[:2]
        return f"[127.0.0.1]:{self.port} {kind} {key}\n"

    @property
    def log(self) -> str:
        return (self.folder / "sshd.log").read_text(errors="replace")

    def user_home(self, place: Path, *, known: bool = True) -> Path:
        """A home for whoever connects, whose known_hosts holds this device or nothing."""
        (place / ".ssh").mkdir(parents=True, exist_ok=True, mode=0o700)
        (place / ".ssh/known_hosts").write_text(self.known if known else "")
        return place


@contextlib.contextmanager
def arm64_device(folder: Path, *, binds: Sequence[tuple[Path, str]] = (), mount: str | None = None) -> Iterator[Device]:
    """An emulated Raspberry Pi 4. `binds` shows it more of this machine's files, each under a path of its own.

    `mount` is a shell command that runs before it in a mount namespace that only it sees.
    """
    system = make_system()
    home = _lay_out(folder)
    (folder / "cpuinfo").write_text(cpuinfo(CORE))
    lay_processors(folder / "cpu", CORE)
    for number in range(CPUS):  # what OpenVINO asks for as well, where the machine's own does not shine through
        for name, mask in (("core_cpus", 1 << number), ("thread_siblings", 1 << number), ("package_cpus", 15)):
            (folder / f"cpu/cpu{number}/topology/{name}").write_text(f"{mask:x}\n")
    port = _free_port()
    shown = [
        (Path("/proc"), "/proc"), (Path("/sys"), "/sys"), (Path("/dev"), "/dev"),
        (folder / "cpuinfo", "/proc/cpuinfo"), (folder / "cpu", "/sys/devices/system/cpu"),
        (home, "/root"), (folder / "tmp", "/tmp"), (folder / "etc", "/srv/ssh"), *binds,
    ]  # fmt: skip
    (folder / "etc/sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey /srv/ssh/host_key\n"
        "AuthorizedKeysFile /srv/ssh/authorized_keys\n"
        "UsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication yes\nPidFile none\n"
        "Subsystem sftp internal-sftp\nMaxStartups 50\n"
    )
    command = ["proot", "-q", f"qemu-aarch64 -cpu {CORE}", "-r", str(system), "-w", "/"]
    if os.geteuid() != 0:
        command.append("-0")
    for here, there in shown:
        command += ["-b", f"{here}:{there}"]
    command += [SSHD, "-D", "-e", "-f", "/srv/ssh/sshd_config"]
    if mount:
        command = ["--mount", "sh", "-c", f'{mount} && exec "$@"', "sh", *command]
    if mount or os.geteuid() != 0:
        command = ["unshare", *OWN_ROOT, *command]
    with _running(command, folder, port) as process:
        yield Device(port, folder, home, USER, process)


@contextlib.contextmanager
def host_device(folder: Path) -> Iterator[Device]:
    """This machine, with a home of its own and the tests' Python; `folder`/bin comes first on its PATH.

    It lets its own user in, by key.
    """
    home = _lay_out(folder)
    port = _free_port()
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)
    (folder / "etc/sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/etc/host_key\n"
        f"AuthorizedKeysFile {folder}/etc/authorized_keys\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\nSubsystem sftp internal-sftp\n"
        f"SetEnv HOME={home} PATH={folder}/bin:{sys.base_prefix}/bin:/usr/bin:/bin\n"
    )
    command = [SSHD, "-D", "-e", "-f", str(folder / "etc/sshd_config")]
    with _running(command, folder, port) as process:
        yield Device(port, folder, home, pwd.getpwuid(os.geteuid()).pw_name, process)


def kept_folder() -> Path:
    """Where tests keep what takes long to make."""
    override = os.environ.get("EDGESLM_TEST_ROOTFS")
    return Path(override) if override else Path(platformdirs.user_cache_dir("edgeslm-tests"))


@functools.cache
def make_system() -> Path:
    """The arm64 system's root, made where it is not there yet (about a quarter of a minute, with network).

    Raises RuntimeError with the failed command's own last lines.
    """
    cache = kept_folder()
    place = cache / f"sshd-{json_digest([SUITE, PACKAGES, PASSWORD, LAYOUT])[:16]}"
    if not place.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".sshd-", dir=cache))
        try:
            _unpack(work / "root")
            # Two makers at once: the first one's system is as good as the second's.
            if not place.is_dir():
                (work / "root").rename(place)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return place


def _unpack(root: Path) -> None:
    command = ["mmdebstrap", "--mode=chrootless", "--quiet", "--variant=extract", "--architectures=arm64"]
    _call([*command, f"--include={','.join(PACKAGES)}", SUITE, str(root)])
    root.chmod(0o755)
    # What the packages' own scripts would do, none of which ran.
    (root / "bin/sh").unlink(missing_ok=True)
    (root / "bin/sh").symlink_to("dash")
    (root / "run/sshd").mkdir(parents=True, exist_ok=True)
    (root / "srv/ssh").mkdir(parents=True, exist_ok=True)
    (root / "etc/passwd").write_text(
        f"{USER}:x:0:0::/root:/bin/bash\nsshd:x:104:65534::/run/sshd:/usr/sbin/nologin\n"
        "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
    )
    (root / "etc/group").write_text(f"{USER}:x:0:\nnogroup:x:65534:\n")
    digest = _call(["openssl", "passwd", "-6", "-salt", "edgeslm", PASSWORD]).strip()
    (root / "etc/shadow").write_text(f"{USER}:{digest}:19000:0:99999:7:::\n")
    (root / "etc/shadow").chmod(0o600)


def _lay_out(folder: Path) -> Path:
    """A device's own files: keys, home, /tmp. Returns the home."""
    for name in ("etc", "home", "tmp", "bin"):
        (folder / name).mkdir(parents=True)
    for key in (folder / "identity", folder / "etc/host_key"):
        _call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
    shutil.copy(folder / "identity.pub", folder / "etc/authorized_keys")
    return folder / "home"


@contextlib.contextmanager
def _running(command: Sequence[str], folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The server, listening; ended with everything that it started."""
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        _await_listener(process, folder, port)
        yield process
    finally:
        for pid in [*_children(process.pid), process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def _children(pid: int) -> list[int]:
    """All processes below this one; sessions have process groups of their own."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(") ")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, pending = [], [pid]
    while pending:
        below = parents.get(pending.pop(), [])
        found += below
        pending += below
    return found


def _await_listener(process: subprocess.Popen[bytes], folder: Path, port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as opened:
            opened.settimeout(20)
            if opened.recv(4) == b"SSH-":
                return
        time.sleep(0.05)
    raise RuntimeError(f"sshd does not listen:\n{(folder / 'sshd.log').read_text(errors='replace')[-3000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _call(command: Sequence[str]) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise RuntimeError(f"{' '.join(command)[:300]} ended with status {done.returncode}:\n{tail}")
    return done.stdout
