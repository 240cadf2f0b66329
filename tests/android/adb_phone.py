"""A fake phone: an adbd on loopback, and a folder that plays its root.

Its shell is mksh and its tools are toybox, which are Android's own; proot shows them the folder as their root, and
starts arm64 programs in it under qemu-aarch64. getprop, pm, am and pidof are scripts named as fakes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgeslm.emulator.cores import cpuinfo, lay_processors
from tests.android.adbd import Adbd, listening

CORE = "cortex-a76"
LIBRARIES = Path("/lib/x86_64-linux-gnu")
"""What the shell and the tools are linked with."""
PACKAGE_OF = {"adb": "adb", "mksh": "mksh", "toybox": "toybox", "proot": "proot", "qemu-aarch64": "qemu-user"}
PROPERTIES = {
    "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a",
    "ro.build.version.sdk": "34",
    "ro.build.version.release": "14",
    "ro.product.manufacturer": "Fake",
    "ro.product.model": "Fake Phone",
    "ro.hardware": "fake",
    "ro.build.fingerprint": "fake/fake/fake:14/TEST/1:user/test-keys",
}
APP = "org.edgeslm.demo"
FAKES = {
    "getprop": "cat /properties",
    "pm": '[ "$1" = path ] && [ -e "/apps/$2/base.apk" ] && echo "package:/apps/$2/base.apk"',
    "pidof": '[ -e "/apps/$1/running" ] && echo 4711',
    # The rest of what it is told is the app's own business: a script that the test lays beside the APK.
    "am": 'if [ "$1" = start ]; then sh /apps/org.edgeslm.demo/start "$@"; else rm -f "/apps/$2/running"; fi',
}


def problem() -> str | None:
    """What keeps a fake phone from being made here, with the line that helps."""
    if not LIBRARIES.is_dir():
        return f"a fake phone needs {LIBRARIES}: it is made on Debian for x86-64"
    absent = [package for tool, package in PACKAGE_OF.items() if shutil.which(tool) is None]
    return f"apt-get install {' '.join(absent)}   (for a fake phone behind adb)" if absent else None


@dataclass
class Phone:
    """What its daemon listens to, and what can be changed about it."""

    adbd: Adbd
    root: Path
    env: Mapping[str, str]  # for adb and edgeslm: the adb server of this test run
    properties: dict[str, str] = field(default_factory=lambda: dict(PROPERTIES))

    @property
    def serial(self) -> str:
        return self.adbd.serial

    @property
    def base(self) -> Path:
        """Where edgeslm puts everything."""
        return self.root / "data/local/tmp/edgeslm"

    def set(self, **properties: str) -> None:
        """Change properties: set(sdk="21") for ro.build.version.sdk."""
        for name, value in properties.items():
            (key,) = [key for key in PROPERTIES if key.endswith(name)] or [name.replace("__", ".")]
            self.properties[key] = value
        lines = [f"[{name}]: [{value}]\n" for name, value in self.properties.items()]
        (self.root / "properties").write_text("".join(lines))

    def install(self, models: Mapping[str, str], start: str = "exit 1") -> None:
        """The fake app: an APK with these models (id -> digest), and what happens when its probe is started."""
        folder = self.root / "apps" / APP
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(folder / "base.apk", "w", zipfile.ZIP_DEFLATED) as apk:
            apk.writestr("classes.dex", os.urandom(100_000))  # so that its directory is not in the first block
            apk.writestr(
                "assets/edgeslm/models.properties", f"default={next(iter(models))}\nmodels={','.join(models)}\n"
            )
            for name, digest in models.items():
                apk.writestr(
                    f"assets/edgeslm/{name}/model.properties", f"format=1\nmodel.sha256={digest}\nname=a\\ b\n"
                )
        (folder / "start").write_text(start)

    def await_quiet(self) -> None:
        """Until no command runs there; raises subprocess.TimeoutExpired where one goes on."""
        for process in list(self.adbd.running.values()):
            process.wait(30)

    def connect(self) -> None:
        adb("connect", self.serial, env=self.env)

    def disconnect(self) -> None:
        adb("disconnect", self.serial, env=self.env)


def app_that_writes(events: Sequence[Mapping[str, object]], *, crashes: bool = False) -> str:
    """The fake app's probe: it writes these events, a line each, and goes on, or is gone."""
    lines = "".join(f"echo '{json.dumps(event)}' >> \"$file\"\n" for event in events)
    return f"""
while [ $# -gt 0 ]; do
  case $1 in --es) echo "$2=$3" >> /apps/{APP}/asked; if [ "$2" = probe ]; then id=$3; fi; shift 3 ;; *) shift ;; esac
done
folder=/sdcard/Android/data/{APP}/files
mkdir -p "$folder"
file=$folder/probe-$id.jsonl
: > /apps/{APP}/running
echo "Starting: Intent {{ cmp={APP}/.ProbeActivity (has extras) }}"
{lines}
{f"rm -f /apps/{APP}/running" if crashes else ":"}
"""


def adb(*words: str, env: Mapping[str, str]) -> str:
    done = subprocess.run(
        ["adb", *words], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


@contextlib.contextmanager
def adb_server(folder: Path) -> Iterator[dict[str, str]]:
    """An adb server of one's own, at a free port and with a key of its own; the environment that leads to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ADB", "ANDROID"))}
    # TMPDIR: where the server writes its log.
    env = {**kept, "HOME": str(folder), "TMPDIR": str(folder), "ANDROID_ADB_SERVER_PORT": port, "ADB_MDNS": "0"}
    adb("start-server", env=env)
    try:
        yield env
    finally:
        adb("kill-server", env=env)


@contextlib.contextmanager
def phone(folder: Path, env: Mapping[str, str]) -> Iterator[Phone]:
    """A phone that is connected to the adb server of `env`."""
    root = folder / "root"
    for name in (
        "system/bin",
        "data/local/tmp",
        "sdcard",
        "proc",
        "sys",
        "dev",
        "lib/x86_64-linux-gnu",
        "lib64",
        "apps",
    ):
        (root / name).mkdir(parents=True)
    tools = root / "system/bin"
    for tool, name in (("mksh", "sh"), ("toybox", "toybox")):
        shutil.copy(shutil.which(tool) or tool, tools / name)
    for applet in subprocess.run(["toybox"], capture_output=True, text=True, check=True).stdout.split():
        if applet != "sh" and applet not in FAKES:
            (tools / applet).symlink_to("toybox")
    for name, script in FAKES.items():
        (tools / name).write_text(f"#!/system/bin/sh\n# A fake, for tests.\n{script}\n")
        (tools / name).chmod(0o755)
    (folder / "cpuinfo").write_text(cpuinfo(CORE))
    lay_processors(folder / "cpu", CORE)
    shown = ["/proc", "/sys", "/dev", "/lib64", str(LIBRARIES)]
    shown += [f"{folder}/cpuinfo:/proc/cpuinfo", f"{folder}/cpu:/sys/devices/system/cpu"]
    shell = ["env", "-i", "PATH=/system/bin:/usr/bin:/bin", "proot", "-q", f"qemu-aarch64 -cpu {CORE}", "-r", str(root)]
    shell += ["-w", "/", *(word for place in shown for word in ("-b", place)), "/system/bin/sh", "-c"]
    with listening(Adbd(root, shell)) as daemon:
        made = Phone(daemon, root, env)
        made.set()
        made.connect()
        yield made
        made.disconnect()
