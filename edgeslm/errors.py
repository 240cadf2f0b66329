"""Every error edgeslm raises on purpose, and the exit code each one ends the command with.

EdgeslmError(message, hint)
├ ConfigError           2   a wrong flag value, a wrong file
│ ├ TargetError             no such target, or a target file with mistakes (all of them)
│ ├ ProfileError            a target profile with mistakes (all of them), or of another core
│ ├ CheckpointError         no such model, or one that is not what it says
│ └ TextsError              calibration or scoring texts that cannot be used
├ UnsupportedError      3   edgeslm or a backend cannot do this, and says what would help
│ ├ UnsupportedOpError      names operator, node, layer, backend
│ └ UnsupportedSchemeError  this scheme on this target or backend
├ DoesNotFitError       4   with the budget table
├ ToolchainError        5   something outside edgeslm is missing or failed
│ ├ MissingToolError
│ ├ MissingExtraError
│ └ ToolFailedError         command, status, log file, its last lines
├ DeviceError           6   a device that does not answer as it must
│ ├ DeviceNotFoundError     no such host, nothing listens there, it lets nobody in
│ ├ UnfitDeviceError        architecture, glibc, Python or space are not what the bundle needs (all of them)
│ ├ ConnectionLostError     in the middle of something
│ ├ ProbeTimeoutError       what was measured until then is kept
│ └ VerifyError             flash does not hold what was written to it
├ FidelityError         7   a gate was missed: the table, and which tensors
├ BundleError           8   tampered, truncated, of a newer schema, or in the way of the output
├ StorageError          9   the disk is full, or a folder cannot be written
└ InternalError        70   ours: a stage or a pass broke its own promise
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class EdgeslmError(Exception):
    """What happened and where (`message`), what to do next (`hint`)."""

    exit_code = 70

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def kind(self) -> str:
        """Name of the error in `--json` output."""
        return type(self).__name__


class ConfigError(EdgeslmError):
    exit_code = 2


class TargetError(ConfigError):
    pass


class ProfileError(ConfigError):
    pass


class CheckpointError(ConfigError):
    pass


class TextsError(ConfigError):
    pass


class UnsupportedError(EdgeslmError):
    exit_code = 3


class UnsupportedOpError(UnsupportedError):
    """An operator that stops a model from being exported or lowered.

    `layer` is the checkpoint's module path ("encoder.layer.3.attention"), or None where no tool tells it.
    """

    def __init__(self, op: str, node: str, layer: str | None, backend: str, detail: str, hint: str) -> None:
        where = f" in layer {layer}" if layer else ""
        super().__init__(f"{backend} cannot take operator {op} (node {node}{where}): {detail}", hint)
        self.op = op
        self.node = node
        self.layer = layer
        self.backend = backend


class UnsupportedSchemeError(UnsupportedError):
    pass


class DoesNotFitError(EdgeslmError):
    exit_code = 4


class ToolchainError(EdgeslmError):
    exit_code = 5


class MissingToolError(ToolchainError):
    pass


class MissingExtraError(ToolchainError):
    def __init__(self, extra: str, package: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed",
            f"pip install 'edgeslm[{extra}]'   (or: edgeslm doctor --install {extra})",
        )
        self.extra = extra


class ToolFailedError(ToolchainError):
    """A foreign tool ended badly. The whole log is kept; its last lines are in the message."""

    def __init__(self, command: Sequence[str], status: int, log: Path, tail: str, hint: str | None = None) -> None:
        lines = "\n".join(f"         {line}" for line in tail.splitlines())
        super().__init__(
            f"{Path(command[0]).name} ended with status {status}; its last lines:\n{lines}",
            hint or f"the whole log is in {log}",
        )
        self.command = tuple(command)
        self.status = status
        self.log = log


class DeviceError(EdgeslmError):
    exit_code = 6


class DeviceNotFoundError(DeviceError):
    pass


class UnfitDeviceError(DeviceError):
    pass


class ConnectionLostError(DeviceError):
    pass


class ProbeTimeoutError(DeviceError):
    pass


class VerifyError(DeviceError):
    pass


class FidelityError(EdgeslmError):
    exit_code = 7


class BundleError(EdgeslmError):
    exit_code = 8


class StorageError(EdgeslmError):
    exit_code = 9


class InternalError(EdgeslmError):
    exit_code = 70
