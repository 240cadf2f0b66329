"""The device package has errors of its own, because it travels alone: here they get edgeslm's names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

_EXTRAS = {
    "openvino": "openvino",
    "ai-edge-litert": "tflite",
    "llguidance": "constrain",
    "starlette": "serve",
    "uvicorn": "serve",
    "prometheus-client": "serve",
}
"""Package -> the extra of edgeslm that installs it."""


@contextlib.contextmanager
def errors_of_the_device() -> Iterator[None]:
    """Within the block, errors of the device package become edgeslm's, with the same message and exit code."""
    from edgeslm import errors
    from edgeslm.device import errors as device

    try:
        yield
    except device.MissingPackageError as error:
        extra = _EXTRAS.get(error.package)
        if extra is None:
            raise errors.MissingToolError(error.message, error.hint) from None
        raise errors.MissingExtraError(extra, error.package, "this bundle") from None
    except device.UsageError as error:
        raise errors.ConfigError(error.message, error.hint) from None
    except device.BundleError as error:
        raise errors.BundleError(error.message, error.hint) from None
    except device.StorageError as error:
        raise errors.StorageError(error.message, error.hint) from None
    except device.DeviceError as error:
        raise errors.DeviceError(error.message, error.hint) from None
