"""Graph -> Graph, of static int8: fewer steps that make the same bits. The order they run in is here.

Integers have one value, so every pass is exact by construction: limits behind limits, a table of a table, the same
products by another kernel. IntegerInterpreter computes the same before and after each.
"""

from __future__ import annotations

from edgeslm.ir.graph import Graph
from edgeslm.ir.integer_passes.fold_constants import fold_integer_constants
from edgeslm.ir.integer_passes.limits import fuse_limits
from edgeslm.ir.integer_passes.order import limit_before_views
from edgeslm.ir.integer_passes.tables import merge_tables
from edgeslm.ir.integer_passes.weights import multiply_by_weights
from edgeslm.ir.passes.views import simplify_views
from edgeslm.ir.rewrite import drop_unread

PASSES = (
    drop_unread,
    fold_integer_constants,
    multiply_by_weights,
    simplify_views,
    limit_before_views,
    fuse_limits,
    merge_tables,
    simplify_views,
)


def simplify_integers(graph: Graph) -> Graph:
    """The graph after all passes."""
    for change in PASSES:
        graph = change(graph)
    return graph
