"""Single kernels as IRs, one each, over a grid of shapes of small models; what a cost model rests on.

Their number of rows is symbolic, as a text's length is in a model: OpenVINO prepares kernels of known shapes otherwise.
Values do not matter. OpenVINO joins operators, so a kernel is what is joined in a model: a product with its bias and
GELU; the two products of attention with the softmax between them; a norm with its scale and shift.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeslm.artifacts import Precision
from edgeslm.backends.openvino.ir import save_ir
from edgeslm.backends.openvino.kernel_calls import ELEMENTWISE, MOVED, NORM
from edgeslm.backends.openvino.kernel_graphs import (
    attention,
    chained,
    elementwise,
    gathered,
    linear,
    lookup,
    norm,
    product,
    softmax,
    static_linear,
    transposed,
    widened,
)
from edgeslm.backends.openvino.quantize import DYNAMIC_GROUP
from edgeslm.cost.kernels import (
    ACTIVATED,
    BASELINE_EVERY,
    CHAIN,
    EMPTY,
    MANY,
    MOST_COPIES,
    STATIC,
    WIDE,
    Kernel,
    KernelCall,
    copies_of,
)
from edgeslm.cost.law import PRODUCT, SELF_ATTENTION
from edgeslm.formats.quiet import quiet_output
from edgeslm.quantize.choices import ENCODERS, Choice

if TYPE_CHECKING:
    import openvino  # type: ignore[import-untyped]  # the package has no types

Write = Callable[[int], "tuple[list[openvino.Node], list[openvino.Node]]"]
"""A number of copies -> parameters and results. A parameter's side that is symbolic is set by `rows` below."""

FLOAT: Choice = ("fp32", None)
VECTORS = ((64, 64), (192, 64), (128, 512), (288, 288), (256, 768), (1536, 384), (384, 512), (768, 160), (1024, 1024),
           (2048, 256))  # fmt: skip
HELD_VECTORS = ((96, 160), (384, 384), (640, 96), (512, 2048))
MATRICES = ((8, 64, 64), (16, 64, 192), (8, 384, 384), (64, 128, 128), (24, 192, 64), (10, 288, 288), (16, 256, 512),
            (32, 384, 96), (5, 64, 512), (3, 192, 192), (64, 256, 64), (16, 768, 64), (2, 256, 256), (64, 384, 1536),
            (128, 256, 512), (16, 768, 1024), (64, 1536, 384), (64, 768, 512))  # fmt: skip
HELD_MATRICES = ((16, 128, 320), (64, 192, 192), (32, 768, 128), (12, 288, 96), (6, 384, 384), (64, 384, 384),
                 (32, 512, 1024))  # fmt: skip
TABLES = ((1, 64), (16, 384), (64, 384), (128, 96))
HELD_TABLES = ((32, 192), (64, 128))
TABLE_ROWS = 512
ROWS = ((1, 64), (1, 384), (16, 64), (64, 384), (128, 128), (128, 768), (32, 1024), (64, 1536))
HELD_ROWS = ((32, 192), (64, 256), (16, 768))
# heads, tokens, numbers of each
HEADS = ((2, 16, 32), (4, 64, 16), (12, 16, 32), (12, 64, 32), (12, 64, 64), (12, 128, 32), (6, 128, 64), (4, 32, 64),
         (8, 8, 64), (12, 32, 32), (2, 128, 16))  # fmt: skip
HELD_HEADS = ((12, 48, 32), (8, 64, 64), (4, 96, 32))
# batch, rows, inner, columns
PRODUCTS = ((12, 64, 32, 64), (12, 64, 64, 32), (8, 16, 64, 16), (6, 64, 16, 48), (2, 32, 128, 64), (12, 128, 32, 128),
            (4, 128, 8, 64), (12, 16, 32, 16))  # fmt: skip
HELD_PRODUCTS = ((8, 64, 24, 96), (6, 32, 48, 32))
QUICK: tuple[Choice, ...] = (FLOAT, ("int8", None), ("int4", 32))


@dataclass
class _Grid:
    """The files while they are written."""

    root: Path
    small: bool
    kernels: list[Kernel] = field(default_factory=list)

    def add(
        self,
        write: Write,
        call: KernelCall | None,
        choice: Choice = FLOAT,
        *,
        rows: int = 1,
        held: bool = False,
        below: int | None = None,
        name: str | None = None,
        copies: int = 1,
    ) -> None:
        """`copies` of `call`, or as many as are worth timing where it is 0."""
        signature = name or f"kernel_{len(self.kernels)}"
        copies = copies_of(call) if call is not None and not copies else copies
        parameters, results = write(copies)
        given = [one.output(0) for one in parameters]
        made = [one.output(0) if hasattr(one, "output") else one for one in results]
        self._save(signature, parameters, given, made)
        inputs = tuple(_described(f"x{place}", one, rows, below) for place, one in enumerate(given))
        outputs = tuple(_described(f"y{place}", one, rows, None) for place, one in enumerate(made))
        files = (f"{signature}.xml", f"{signature}.bin")
        calls = () if call is None else (call,) * copies
        self.kernels.append(Kernel(signature, calls, *choice, held, inputs, outputs, files))
        if call is not None and len(self.kernels) % BASELINE_EVERY == 0:
            self.add_baseline()

    def _save(self, name: str, parameters: Sequence[openvino.Node], given: Sequence[Any], made: Sequence[Any]) -> None:
        from openvino import Model

        for letter, outputs in (("x", given), ("y", made)):
            for place, one in enumerate(outputs):
                one.set_names({f"{letter}{place}"})
        model = Model(list(made), list(parameters), name)
        save_ir(model, self.root, {"DYNAMIC_QUANTIZATION_GROUP_SIZE": DYNAMIC_GROUP}, name)

    def add_baseline(self) -> None:
        for name, write in ((EMPTY, chained), (WIDE, widened), (MANY, gathered)):
            self.add(write, None, name=f"{name}_{len(self.kernels)}")


def write_kernels(root: Path, small: bool = False) -> tuple[Kernel, ...]:
    """Write the grid into the folder `root`: two files for each kernel. `small`: a shape of each
    kernel, for a quick look."""
    grid = _Grid(root, small)
    with quiet_output(root / "openvino.log"):
        grid.add_baseline()
        grid.add(chained, None, name=CHAIN, copies=MOST_COPIES)
        for choice in QUICK if small else ENCODERS["openvino"].matrices:
            _add_weighted(grid, *choice)
        _add_floats(grid)
        grid.add_baseline()
    (root / "openvino.log").unlink(missing_ok=True)
    return tuple(grid.kernels)


def _few(grid: _Grid, fitted: Sequence[Any], held: Sequence[Any]) -> Iterator[tuple[Any, bool]]:
    """Each shape, and whether it is held out."""
    for shapes, is_held in ((fitted[:1], False),) if grid.small else ((fitted, False), (held, True)):
        for shape in shapes:
            yield shape, is_held


def _add_weighted(grid: _Grid, precision: Precision, group: int | None) -> None:
    choice = (precision, group)
    vectors = [[(1, *shape) for shape in shapes] for shapes in (VECTORS, HELD_VECTORS)]
    for kind, (fitted, held) in (("gemv", vectors), ("gemm", [list(MATRICES), list(HELD_MATRICES)])):
        for (rows, inner, columns), is_held in _few(grid, fitted, held):
            call = KernelCall(kind, rows, inner, columns)
            shape = {"inner": inner, "columns": columns}
            if group is None or inner % group == 0:
                for form, activated in (("", False), (ACTIVATED, True)):
                    write = partial(linear, **shape, precision=precision, group=group, activated=activated)
                    own = dataclasses.replace(call, kind=kind + form)
                    grid.add(write, own, choice, rows=rows, held=is_held, copies=0)
            if precision == "int8":
                own = dataclasses.replace(call, kind=kind + STATIC)
                grid.add(partial(static_linear, **shape), own, choice, rows=rows, held=is_held, copies=0)
    if precision != "int4":
        for (rows, width), is_held in _few(grid, TABLES, HELD_TABLES):
            write = partial(lookup, height=TABLE_ROWS, width=width, precision=precision)
            call = KernelCall("lookup", rows, 1, width)
            grid.add(write, call, choice, rows=rows, held=is_held, below=TABLE_ROWS, copies=0)


def _add_floats(grid: _Grid) -> None:
    for (rows, width), held in _few(grid, ROWS, HELD_ROWS):
        along = {"rows": rows, "held": held}
        grid.add(partial(norm, width=width), KernelCall(NORM, rows, width, 1), **along, copies=0)
        grid.add(partial(softmax, width=width), KernelCall("softmax", rows, width, 1), **along, copies=0)
        for write, kind in ((elementwise, ELEMENTWISE), (transposed, MOVED)):
            grid.add(partial(write, width=width), KernelCall(kind, 1, 1, rows * width), **along, copies=0)
    for (heads, tokens, depth), held in _few(grid, HEADS, HELD_HEADS):
        call = KernelCall(SELF_ATTENTION, tokens, depth, tokens, batch=heads)
        grid.add(partial(attention, heads=heads, depth=depth), call, rows=tokens, held=held, copies=0)
    for (batch, rows, inner, columns), held in _few(grid, PRODUCTS, HELD_PRODUCTS):
        write = partial(product, batch=batch, inner=inner, columns=columns)
        grid.add(write, KernelCall(PRODUCT, rows, inner, columns, batch=batch), rows=rows, held=held, copies=0)


def _described(name: str, output: Any, rows: int, below: int | None) -> dict[str, Any]:
    shape = [rows if side.is_dynamic else side.get_length() for side in output.get_partial_shape()]
    told: dict[str, Any] = {"name": name, "dtype": str(output.get_element_type().to_dtype()), "shape": shape}
    return told | ({"below": below} if below is not None else {})
