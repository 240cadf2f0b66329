"""A systemd user service on the device: a deployed bundle behind a Unix socket."""

from __future__ import annotations

from dataclasses import dataclass

from edgeslm.bundle.manifest import Manifest
from edgeslm.errors import DeviceError
from edgeslm.remote.command import run_script
from edgeslm.remote.connection import Connection

START_S = 300.0
"""The unit's own time to load the model; starting it takes no longer."""
NO_SYSTEMD = 3

# Whether a user's service may have a file system of its own depends on the kernel's settings: it is tried.
_SANDBOX = "unshare --user --map-root-user true 2>/dev/null"

_START = """
name=$1 unit=$2
command -v systemctl >/dev/null 2>&1 || exit 3
XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
export XDG_RUNTIME_DIR
folder=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user
mkdir -p -- "$folder" && printf '%s' "$unit" > "$folder/.$name.new" || exit 1
mv -f -- "$folder/.$name.new" "$folder/$name" || exit 1
systemctl --user daemon-reload && systemctl --user enable "$name" && systemctl --user restart "$name" || {
  status=$?
  systemctl --user --no-pager --lines=8 status "$name" >&2
  exit $status
}
echo "socket $XDG_RUNTIME_DIR/${name%.service}.sock"
echo "linger $(loginctl show-user "$(id -un)" --property=Linger --value 2>/dev/null)"
"""


@dataclass(frozen=True)
class Service:
    """A unit that runs. `lingers`: it starts with the device; None where that is not known."""

    unit: str
    socket: str
    lingers: bool | None


def unit_text(current: str, name: str, manifest: Manifest, *, sandbox: bool) -> str:
    """The unit for the release that `current` leads to. With `sandbox` it can write nothing but its cache."""
    # A program's own path may not hold everything that an argument may: it is handed to the shell.
    program = _quoted(f"{current}/edgeslm-device").replace("$", "$$")
    cache = _quoted(f"{current.rpartition('/')[0]}/cache")
    lines = [
        "[Unit]",
        f"Description=edgeslm: {manifest.task} with {name.replace('%', '%%')}, behind a socket",
        "",
        "[Service]",
        "Type=notify",
        f"ExecStart=/bin/sh {program} listen --socket %t/edgeslm-{name}.sock",
        f"TimeoutStartSec={START_S:.0f}",
        "Restart=on-failure",
        "RestartSec=5",
        "NoNewPrivileges=yes",
        "RestrictAddressFamilies=AF_UNIX",
        "SystemCallArchitectures=native",
        "RestrictRealtime=yes",
        "LockPersonality=yes",
        "UMask=0077",
    ]
    if sandbox:
        lines += ["PrivateUsers=yes", "ProtectSystem=strict", "ProtectHome=read-only", f"ReadWritePaths={cache} %t"]
    return "\n".join([*lines, "", "[Install]", "WantedBy=default.target", ""])


async def start_service(connection: Connection, current: str, name: str, manifest: Manifest) -> Service:
    """Write the user's unit edgeslm-NAME.service, enable it and start it anew.

    Raises DeviceError where the device has no systemd or the unit does not start.
    """
    unit = f"edgeslm-{name}.service"
    script = f'mkdir -p -- "$1/../cache" && {_SANDBOX}'
    sandbox = await run_script(connection, script, current, doing="looking at its systemd")
    text = unit_text(current, name, manifest, sandbox=sandbox.ok)
    ended = await run_script(connection, _START, unit, text, doing="starting the service", time_limit_s=START_S + 30)
    if ended.status == NO_SYSTEMD:
        raise DeviceError(
            f"{connection.address} has no systemctl, so there is no service",
            f"start it in a way of its own: {current}/edgeslm-device listen --socket PATH",
        )
    if not ended.ok:
        raise DeviceError(
            f"{connection.address}: the service {unit} does not start: it {ended.how}",
            "without a session of its user there is no systemd for it: sudo loginctl enable-linger, there, starts one",
        )
    said = dict(line.split(" ", 1) for line in ended.stdout.splitlines() if line.startswith(("socket ", "linger ")))
    lingers = {"yes": True, "no": False}.get(said.get("linger", "").strip())
    return Service(unit, said.get("socket", "").strip(), lingers)


def _quoted(path: str) -> str:
    """A path as a unit file has it: in quotes, with % doubled."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
