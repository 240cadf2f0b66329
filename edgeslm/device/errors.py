"""Everything that can go wrong on the device, with what to do next and the exit code of the command line."""

from __future__ import annotations


class DeviceError(Exception):
    """`message` says what happened and where, `hint` what to do next."""

    exit_code = 6

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DeviceError):
    """The caller asked for something this model does not do, or gave it something it cannot take."""

    exit_code = 2


class PromptTooLongError(UsageError):
    """Prompt and answer have no room in the model's context."""


class MissingPackageError(DeviceError):
    """A package that must be installed on the device is not there; the bundle's file `requirements` pins it."""

    exit_code = 5

    def __init__(self, package: str, purpose: str, requirements: str = "requirements.txt") -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed",
            f"pip install {package}   (the bundle's {requirements} pins the version it was made with)",
        )
        self.package = package


class BundleError(DeviceError):
    """The bundle is not there, damaged, tampered with or of a newer schema."""

    exit_code = 8


class StorageError(DeviceError):
    """A file cannot be written: the disk is full, or the cache folder is read-only."""

    exit_code = 9


class NoEnergyError(DeviceError):
    """This device does not tell what energy it takes, or stopped telling; a probe goes on without."""
