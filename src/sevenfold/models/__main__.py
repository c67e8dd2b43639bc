"""``python -m sevenfold.models``: the catalogue, with the parameters of each preset."""

from sevenfold.models import MODELS

for name in MODELS:
    entry = MODELS[name]
    count = sum(weight.numel() for weight in entry.build_meta().parameters())
    print(f"{name:<18} {entry.task:<15} {entry.size:<7} {count:>16,}  {entry.summary}")  # noqa: T201
