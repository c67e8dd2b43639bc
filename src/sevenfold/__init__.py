"""Sevenfold: what holds this model back, and what is it worth to relieve it?

>>> import sevenfold
>>> result = sevenfold.diagnose("digits-cnn", budget="5m")  # doctest: +SKIP
>>> result.binding  # doctest: +SKIP
['data']

Every verb of the command line is an action here with the same name. Importing the package imports nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sevenfold import data as data
    from sevenfold.actions.calibrate import calibrate as calibrate
    from sevenfold.actions.chips import chips as chips
    from sevenfold.actions.chips import show_chip as show_chip
    from sevenfold.actions.cost import cost as cost
    from sevenfold.actions.count import count as count
    from sevenfold.actions.diagnose import diagnose as diagnose
    from sevenfold.actions.eyeriss import simulate_eyeriss as simulate_eyeriss
    from sevenfold.actions.eyeriss import validate_eyeriss as validate_eyeriss
    from sevenfold.actions.fit import fit as fit
    from sevenfold.actions.generate import generate as generate
    from sevenfold.actions.image_edits import inpaint as inpaint
    from sevenfold.actions.image_edits import interpolate as interpolate
    from sevenfold.actions.image_edits import reconstruct as reconstruct
    from sevenfold.actions.image_edits import translate as translate
    from sevenfold.actions.label import label as label
    from sevenfold.actions.label import label_agreement as label_agreement
    from sevenfold.actions.load import load as load
    from sevenfold.actions.mechanisms import list_mechanisms as list_mechanisms
    from sevenfold.actions.mechanisms import show_mechanism as show_mechanism
    from sevenfold.actions.models import list_models as list_models
    from sevenfold.actions.models import show_model as show_model
    from sevenfold.actions.paradigms import list_paradigms as list_paradigms
    from sevenfold.actions.paradigms import run_paradigm as run_paradigm
    from sevenfold.actions.paradigms import show_paradigm as show_paradigm
    from sevenfold.actions.plan_budget import plan_budget as plan_budget
    from sevenfold.actions.plan_budget import plan_datacenter as plan_datacenter
    from sevenfold.actions.plan_budget import plan_ladder as plan_ladder
    from sevenfold.actions.plan_budget import plan_trend as plan_trend
    from sevenfold.actions.plan_serving import plan_serve as plan_serve
    from sevenfold.actions.plan_training import plan_check as plan_check
    from sevenfold.actions.plan_training import plan_train as plan_train
    from sevenfold.actions.quantize import quantize as quantize
    from sevenfold.actions.recipe import recipe as recipe
    from sevenfold.actions.recipes import list_recipes as list_recipes
    from sevenfold.actions.recipes import show_recipe as show_recipe
    from sevenfold.actions.represent import represent as represent
    from sevenfold.actions.run_report import run_report as run_report
    from sevenfold.actions.runs import check_runs as check_runs
    from sevenfold.actions.runs import compare_runs as compare_runs
    from sevenfold.actions.runs import list_runs as list_runs
    from sevenfold.actions.runs import show_run as show_run
    from sevenfold.actions.sample import sample as sample
    from sevenfold.actions.sweep import sweep as sweep
    from sevenfold.actions.train import train as train
    from sevenfold.actions.zeros import activation_zeros as activation_zeros

__version__ = "0.1.0"

_ACTIONS = {
    "activation_zeros": "zeros",
    "calibrate": "calibrate",
    "chips": "chips",
    "show_chip": "chips",
    "cost": "cost",
    "count": "count",
    "diagnose": "diagnose",
    "fit": "fit",
    "generate": "generate",
    "inpaint": "image_edits",
    "interpolate": "image_edits",
    "reconstruct": "image_edits",
    "translate": "image_edits",
    "label": "label",
    "label_agreement": "label",
    "load": "load",
    "list_mechanisms": "mechanisms",
    "show_mechanism": "mechanisms",
    "list_models": "models",
    "show_model": "models",
    "list_paradigms": "paradigms",
    "run_paradigm": "paradigms",
    "show_paradigm": "paradigms",
    "plan_budget": "plan_budget",
    "plan_check": "plan_training",
    "plan_datacenter": "plan_budget",
    "plan_ladder": "plan_budget",
    "plan_serve": "plan_serving",
    "plan_train": "plan_training",
    "plan_trend": "plan_budget",
    "quantize": "quantize",
    "recipe": "recipe",
    "check_runs": "runs",
    "compare_runs": "runs",
    "list_runs": "runs",
    "show_run": "runs",
    "list_recipes": "recipes",
    "show_recipe": "recipes",
    "represent": "represent",
    "run_report": "run_report",
    "sample": "sample",
    "simulate_eyeriss": "eyeriss",
    "sweep": "sweep",
    "train": "train",
    "validate_eyeriss": "eyeriss",
}

__all__ = [*_ACTIONS, "data"]


def __getattr__(name: str) -> Any:
    if name in _ACTIONS:
        return getattr(importlib.import_module(f"sevenfold.actions.{_ACTIONS[name]}"), name)
    if name == "data":
        return importlib.import_module("sevenfold.data")
    raise AttributeError(f"module 'sevenfold' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
