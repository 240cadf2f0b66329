"""Graph -> Graph: plain kinds become those that backends have kernels for. The order they run in is here.

Each pass keeps what the graph means. What is told by form alone is so by algebra; where form leaves a doubt (masks,
tables of positions, poolings) both forms are run on the same numbers before one replaces the other.
"""

from __future__ import annotations

from edgeslm.ir.graph import Graph
from edgeslm.ir.passes.activations import fuse_activations
from edgeslm.ir.passes.attention import fuse_attention
from edgeslm.ir.passes.cached_attention import fuse_cached_attention
from edgeslm.ir.passes.fold_constants import fold_constants
from edgeslm.ir.passes.linear import fuse_linear
from edgeslm.ir.passes.norms import fuse_norms
from edgeslm.ir.passes.numbers import simplify_numbers
from edgeslm.ir.passes.pooling import fuse_pooling
from edgeslm.ir.passes.rotary import fuse_rotary
from edgeslm.ir.passes.sums import add_up_constants
from edgeslm.ir.passes.views import simplify_views
from edgeslm.ir.rewrite import drop_unread

PASSES = (
    drop_unread,
    fold_constants,
    simplify_views,
    simplify_numbers,
    fuse_linear,
    fuse_norms,
    fuse_activations,
    fuse_rotary,
    fuse_cached_attention,
    fuse_attention,
    fuse_pooling,
    add_up_constants,
    simplify_views,
)


def fuse(graph: Graph) -> Graph:
    """The graph after all passes."""
    for change in PASSES:
        graph = change(graph)
    return graph
