"""The operator graph as data: what a model executes on one input. Knows no hardware and no torch."""

from sevenfold.ops.graph import Operator, OperatorGraph

__all__ = ["Operator", "OperatorGraph"]
