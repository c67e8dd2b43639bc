"""What a run record says about where the run was made."""

from __future__ import annotations

import importlib.metadata
import platform

import torch

from sevenfold.runs.recipe import Recipe


def describe_environment(recipe: Recipe, device: torch.device) -> dict[str, str | int | float | bool | None]:
    """Versions, device and threads: what bit-identical repetition depends on."""
    return {
        "sevenfold": importlib.metadata.version("sevenfold"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "threads": recipe.threads or torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass  # no Linux: the platform module knows it
    return platform.processor() or platform.machine()
