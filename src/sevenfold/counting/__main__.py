"""``python -m sevenfold.counting``: a small module, operator by operator, forward and backward."""

from torch import empty, nn

from sevenfold.counting import trace

block = nn.TransformerEncoderLayer(64, 4, 256, dropout=0.0, batch_first=True)
graph = trace(block, (empty(1, 32, 64),), name="a transformer block on 32 tokens")
print(f"{graph.name}: {graph.params:,} parameters, {graph.macs:,} MACs forward")  # noqa: T201
for op in graph.operators:
    moved = op.bytes_read + op.bytes_written
    print(f"{op.phase:<9} {op.path:<10} {op.kind:<13} {op.count} x {op.macs:>9,} MACs {moved:>9,} bytes  {op.name}")  # noqa: T201
for note in graph.notes:
    print(note)  # noqa: T201
