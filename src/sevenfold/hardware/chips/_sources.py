"""The sources that several entries cite, spelled once."""

from __future__ import annotations

_MLE = "stas00/ml-engineering, compute/accelerator/README.md, commit b9e2972"
MLE_PEAK = f"{_MLE}, TFLOPS comparison table (dense)"
MLE_BEST = f"{_MLE}, Maximum Achievable Matmul FLOPS table v2 (bf16, fp8)"
MLE_BEST_LATER = "stas00/ml-engineering, compute/accelerator/README.md, MAMF table, later than commit b9e2972"
MLE_MEMORY = f"{_MLE}, table of memory sizes and bandwidths"
MLE_CACHE = f"{_MLE}, table of caches"
MLE_POWER = f"{_MLE}, power consumption table"
TPU_V5E = "docs.cloud.google.com/tpu/docs/v5e"
TPU_V5P = "docs.cloud.google.com/tpu/docs/v5p"
TPU_V6E = "docs.cloud.google.com/tpu/docs/v6e"
