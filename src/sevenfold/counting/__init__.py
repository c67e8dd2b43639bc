"""From any torch.nn.Module and an example input to an operator graph, without computing anything.

It must not know chips, recipes or training. ``python -m sevenfold.counting`` prints a small demonstration.
"""

from sevenfold.counting._tracing import trace

__all__ = ["trace"]
