"""Flash through pyOCD, as a library: any probe that it knows (CMSIS-DAP, ST-Link, J-Link), over SWD.

pyOCD reads no settings of the user's here, and no script of the folder it is started in.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgeslm.errors import (
    ConnectionLostError,
    DeviceError,
    DeviceNotFoundError,
    MissingExtraError,
    MissingToolError,
    UnsupportedError,
)
from edgeslm.flash.chips import require_chip
from edgeslm.flash.image import FlashImage
from edgeslm.flash.probes import Seen, choose_probe, no_probe, require_access
from edgeslm.flash.way import Asked

if TYPE_CHECKING:
    from pyocd.core.session import Session
    from pyocd.probe.debug_probe import DebugProbe

OPTIONS = {
    "no_config": True,
    "auto_unlock": False,  # a locked chip is not erased unasked
    "cache.enable_memory": False,  # what is read back is read from the chip
    "hide_programming_progress": True,
    "warning.cortex_m_default": False,
    "connect_mode": "halt",
}
CONNECTING = "connecting"


class Delegate:
    """What pyOCD asks of its user while it connects."""

    def will_init_target(self, target: Any, init_sequence: Any) -> None:
        """The names of a chip's registers are for debuggers, and take a second to read."""
        init_sequence.remove_task("load_svd")


class PyocdBoard:
    """See way.Connected."""

    line = None

    def __init__(self, image: FlashImage, session: Session, probe: Seen) -> None:
        self.device = f"{image.target.title}, by {probe.title}"
        self.debug_probe: str | None = probe.serial
        self._image = image
        self._session = session

    @property
    def _target(self) -> Any:
        return self._session.target

    def write(self) -> None:
        from pyocd.flash.loader import MemoryLoader

        image = self._image
        with _told("writing"):
            try:
                loader = MemoryLoader(self._session, chip_erase="sector", smart_flash=False)
                loader.add_data(image.address, list(image.content))
                loader.commit()
            except ValueError as error:
                raise DeviceError(
                    f"{image.facts.pyocd} of pyOCD has no flash for the image: {error}",
                    "firmware.pyocd of the target names another chip",
                ) from None

    def read_back(self) -> bytes:
        with _told("reading back"):
            return bytes(self._target.read_memory_block8(self._image.address, len(self._image.content)))

    def reset(self) -> None:
        with _told("resetting"):
            self._target.reset()


@contextlib.contextmanager
def connect(image: FlashImage, asked: Asked) -> Iterator[PyocdBoard]:
    """The board behind the only debug probe, or the one that was asked for; its core halted. See way.Connected.

    Raises MissingExtraError without pyOCD, MissingToolError where it does not know the chip, DeviceNotFoundError,
    UnfitDeviceError.
    """
    name = image.facts.pyocd
    if name is None:
        raise UnsupportedError(
            f"{image.target.name} has no name of pyOCD's: its target file lacks firmware.pyocd",
            f"--via {image.facts.flasher}; pyocd list --targets shows the names",
        )
    if importlib.util.find_spec("pyocd") is None:
        raise MissingExtraError("flash", "pyocd", "--via pyocd")
    require_access(image)
    with _log() as said, _same_folder():
        with _told(CONNECTING):
            probe, seen = _find_probe(image, asked, said)
        session = _session(probe, name, str(asked.folder))
        session.delegate = Delegate()
        try:
            with _told(CONNECTING):
                session.open()
            require_chip(image, _session_target(session).read32)
            yield PyocdBoard(image, session, seen)
        finally:
            session.close()


def _find_probe(image: FlashImage, asked: Asked, said: list[str]) -> tuple[DebugProbe, Seen]:
    from pyocd.core.helpers import ConnectHelper

    found = {Seen(probe.unique_id, probe.description): probe for probe in ConnectHelper.get_all_connected_probes(False)}
    if not found:
        raise no_probe(image, "pyocd", said)
    seen = choose_probe(list(found), asked.debug_probe)
    return found[seen], seen


def _session(probe: DebugProbe, name: str, folder: str) -> Session:
    from pyocd.core.exceptions import TargetSupportError
    from pyocd.core.session import Session

    try:
        return Session(probe, auto_open=False, options=OPTIONS | {"target_override": name, "project_dir": folder})
    except TargetSupportError as error:
        raise MissingToolError(
            f"pyOCD does not know the chip {name}: {error}", f"pyocd pack install {name} fetches its description"
        ) from None


def _session_target(session: Session) -> Any:
    return session.target


@contextlib.contextmanager
def _told(doing: str) -> Iterator[None]:
    """pyOCD's errors as ours."""
    from pyocd.core import exceptions

    try:
        yield
    except exceptions.ProbeDisconnected as error:
        raise ConnectionLostError(f"the debug probe went away while {doing}: {error}", "flash it again") from None
    except exceptions.Error as error:
        if doing != CONNECTING:
            raise DeviceError(f"pyOCD, {doing}: {error}", "flash it again") from None
        raise DeviceNotFoundError(
            f"no core answers behind the debug probe: {error}",
            "SWDIO, SWCLK, ground and the board's supply; hold its reset button down while it connects",
        ) from None


@contextlib.contextmanager
def _log() -> Iterator[list[str]]:
    """What pyOCD warns of: it is said where something goes wrong, and nowhere else."""
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, keep = logging.getLogger("pyocd"), Keep(logging.WARNING)
    passed_on, logger.propagate = logger.propagate, False
    logger.addHandler(keep)
    try:
        yield said
    finally:
        logger.removeHandler(keep)
        logger.propagate = passed_on


@contextlib.contextmanager
def _same_folder() -> Iterator[None]:
    """pyOCD moves into its project's folder."""
    before = os.getcwd()
    try:
        yield
    finally:
        os.chdir(before)
