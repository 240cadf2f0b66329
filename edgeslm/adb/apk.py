"""Members of an APK that lies on the device, without fetching all of it: a model may make it a gigabyte.

A zip's directory stands at its end, so that a few blocks are enough.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

from edgeslm.adb.device import Device
from edgeslm.adb.shell import read_bytes, run_script
from edgeslm.errors import DeviceError

BLOCK = 64 << 10
MAX_BLOCKS = 64
"""Of one APK; a directory of 20,000 entries has thirty of them."""
MAX_BYTES = 1 << 20
"""Of a member."""

_DOING = "reading the installed app"
_SIZE = 'wc -c < "$1"'
_READ = 'tail -c +"$2" "$1" | head -c "$3"'  # from the first byte on, which is number 1


@contextlib.contextmanager
def open_apk(device: Device, path: str) -> Iterator[zipfile.ZipFile]:
    """The APK at `path` on the device. Raises DeviceError where it cannot be read, or is damaged."""
    try:
        with RemoteFile(device, path) as source, zipfile.ZipFile(source) as opened:
            yield opened
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, LookupError, RuntimeError, struct.error) as error:
        raise DeviceError(f"{device}: {path} is no APK that can be read ({error})", "install the app again") from None


def read_member(apk: zipfile.ZipFile, name: str) -> bytes | None:
    """A member's content, None where there is none of this name. Raises DeviceError where it is too large."""
    if name not in apk.namelist():
        return None
    if apk.getinfo(name).file_size > MAX_BYTES:
        raise DeviceError(f"{name} in the installed app has {apk.getinfo(name).file_size:,} bytes")
    return apk.read(name)


class RemoteFile(io.RawIOBase):
    """A file on the device, read in blocks that are fetched once each."""

    def __init__(self, device: Device, path: str) -> None:
        self._device, self._path, self._place = device, path, 0
        self._blocks: dict[int, bytes] = {}
        told = run_script(device, _SIZE, path, doing=_DOING).stdout.strip()
        if not told.isdecimal():
            raise DeviceError(f"{device}: {path} cannot be read", "--adb-mode pushed goes without the app")
        self._size = int(told)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]  # io has no name for what has a buffer
        number, start = divmod(self._place, BLOCK)
        piece = self._block(number)[start : start + len(view)] if self._place < self._size else b""
        view[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            if len(self._blocks) >= MAX_BLOCKS:
                raise DeviceError(f"{self._device}: the directory of {self._path} is larger than an APK's can be")
            start = number * BLOCK
            size = min(BLOCK, self._size - start)
            words = (self._path, str(start + 1), str(size))
            self._blocks[number] = read_bytes(self._device, _READ, *words, size=size, doing=_DOING)
        return self._blocks[number]
