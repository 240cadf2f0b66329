"""CMakePresets.json of firmware_templates: what image.py tells the compiler, in the words of a CMake project."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from edgeslm.backends.cortexm.variant import Variant
from edgeslm.firmware.board_macros import board_macros
from edgeslm.firmware.image import STACK_BYTES, firmware_facts
from edgeslm.firmware.toolchain import PREFIX, core_flags
from edgeslm.target import Target

HOST = "host"
FILE = "CMakePresets.json"
# Oldest CMake whose presets have all of this.
VERSION, CMAKE = 3, {"major": 3, "minor": 21, "patch": 0}


def presets_text(targets: Iterable[Target], variant: Variant) -> str:
    """A preset for each target, and one for the host; the model is packed for the kernels of `variant`."""
    configured = [_host(variant), *(_board(target, variant) for target in targets)]
    document = {
        "version": VERSION,
        "cmakeMinimumRequired": CMAKE,
        "configurePresets": configured,
        "buildPresets": [{"name": one["name"], "configurePreset": one["name"]} for one in configured],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _host(variant: Variant) -> dict[str, Any]:
    return {
        "name": HOST,
        "displayName": "This machine: stdin and stdout are the UART",
        "binaryDir": "${sourceDir}/build/${presetName}",
        "cacheVariables": {"EDGESLM_KERNELS": _definitions(variant.host_macros)},
    }


def _board(target: Target, variant: Variant) -> dict[str, Any]:
    firmware = firmware_facts(target)
    return {
        "name": target.name,
        "displayName": target.title,
        "binaryDir": "${sourceDir}/build/${presetName}",
        "cacheVariables": {
            "CMAKE_SYSTEM_NAME": "Generic",
            "CMAKE_SYSTEM_PROCESSOR": "arm",
            "CMAKE_C_COMPILER": f"{PREFIX}gcc",
            "CMAKE_ASM_COMPILER": f"{PREFIX}gcc",
            "CMAKE_TRY_COMPILE_TARGET_TYPE": "STATIC_LIBRARY",
            "EDGESLM_KERNELS": _definitions(variant.macros),
            "EDGESLM_CORE_FLAGS": ";".join(core_flags(target.cpu.core)),
            "EDGESLM_TEMPLATE": firmware.template,
            "EDGESLM_BOARD": _definitions(board_macros(target)),
            "EDGESLM_FLASH_ORIGIN": f"{firmware.flash_origin:#010x}",
            "EDGESLM_FLASH_BYTES": f"{target.memory.storage_kib}K",
            "EDGESLM_RAM_ORIGIN": f"{firmware.ram_origin:#010x}",
            "EDGESLM_RAM_BYTES": f"{target.memory.ram_kib}K",
            "EDGESLM_STACK_BYTES": str(STACK_BYTES),
        },
    }


def _definitions(macros: Iterable[str]) -> str:
    """CMake takes definitions with no -D."""
    return ";".join(macro.removeprefix("-D") for macro in macros)
