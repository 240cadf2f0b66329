"""Which debug probe: the one that was asked for, or the only one. What was seen is always said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeslm.errors import DeviceError, DeviceNotFoundError
from edgeslm.firmware.udev import probe_rule, usb_devices
from edgeslm.flash.image import FlashImage


@dataclass(frozen=True)
class Seen:
    """A debug probe: its identification, and what its maker calls it."""

    serial: str
    title: str


def choose_probe(seen: Sequence[Seen], wanted: str | None) -> Seen:
    """The probe whose identification is or begins with `wanted`; or the only one. Raises DeviceNotFoundError."""
    matching = [one for one in seen if wanted is None or one.serial == wanted]
    matching = matching or [one for one in seen if one.serial.startswith(wanted or "")]
    if len(matching) == 1:
        return matching[0]
    lines = "".join(f"\n         {one.serial}  {one.title}" for one in seen)
    if not matching:
        raise DeviceNotFoundError(f"no debug probe has the identification {wanted}; these are connected:{lines}")
    raise DeviceNotFoundError(
        f"{len(matching)} debug probes are connected, and any of them may hold the board:{lines}",
        f"--debug-probe {matching[0].serial}",
    )


def require_access(image: FlashImage) -> None:
    """Raises DeviceError with the rule to add where the board's probe is there, and this user may open none."""
    devices = usb_devices(image.facts.usb)
    if devices and not any(device.is_open_to_us for device in devices):
        first = devices[0]
        raise DeviceError(f"{first} is connected, and this user may not open {first.node}", probe_rule(first.usb))


def no_probe(image: FlashImage, tool: str, said: Sequence[str]) -> DeviceNotFoundError:
    """What to say where a tool finds none: its own words, and what USB shows of the board."""
    lines = "".join(f"\n         {tool}: {line}" for line in said or ["lists none"])
    plugged = [str(device) for device in usb_devices(image.facts.usb)]
    wanted = f" of {', '.join(image.facts.usb)}" if image.facts.usb else ""
    return DeviceNotFoundError(
        f"no debug probe answers for {image.target.title}{lines}\n         USB shows "
        + (", ".join(plugged) or f"no device{wanted}"),
        "plug it in by a cable that carries data; --via qemu needs no board",
    )
