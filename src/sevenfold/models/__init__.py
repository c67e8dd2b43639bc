"""Landmarks of deep learning's history, one file each, grouped by family; the folder is the catalogue.

>>> MODELS["gpt2"].landmark.year
2019
>>> sum(weight.numel() for weight in MODELS["lecun1989"].build_meta().parameters())
9760
"""

from sevenfold.models._custom import register_custom
from sevenfold.models._entry import MODELS, Landmark, ModelEntry, alternatives_for

__all__ = ["MODELS", "Landmark", "ModelEntry", "alternatives_for", "register_custom"]
