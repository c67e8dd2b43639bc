"""The mapper and ZigZag 3.9.1 on the same layers, architectures and energies, one after the other in one run.

ZigZag runs in an environment of its own (made at first use in the data folder, or given as SEVENFOLD_ZIGZAG, a
Python interpreter): its uneven loop-order search for energy at its own default limit of six factors a layer, on its
own tpu_like and eyeriss_like, with the spread of its own mapping files (filters x channels); its search stages
alone, without plots and files. Ours searches all orders and all uneven tilings by divisors by the lattice
(mapper/lattice.py), with ZigZag's rules of cost (zigzag_rules.py), on the same spread. Distinct convolutions only,
weighted by how often they occur; AlexNet at batch 4 and one group of its grouped layers, twice.

Checked in every run: the restated rules equal ZigZag's cost model on ZigZag's own best mapping; our best mapping,
fed into ZigZag's cost model, costs there what we say, fits its memories, and is never above ZigZag's best.
Seconds are wall times of one process each, imports left out, ours with all tables. ZigZag's answers and seconds are
kept in the data folder as they come, so that a run that was stopped goes on; delete them for a new race.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.zigzag_rules import problems, restated, temporal
from sevenfold.actions.count import count
from sevenfold.hardware.eyeriss.published import alexnet, vgg16
from sevenfold.hardware.spatial.layer import Layer
from sevenfold.hardware.spatial.mapper.lattice import cheapest_chain
from sevenfold.hardware.spatial.workload import workload_of
from sevenfold.runs.home import data_home, made_folder

PACKAGES = ("zigzag-dse==3.9.1", "six")
ARCHITECTURES = {"tpu_like": "tpu_like.yaml", "eyeriss_like": "default.yaml"}
NAMES = {"B": "N", "K": "M", "C": "C", "OY": "P", "OX": "Q", "FY": "R", "FX": "S"}


@dataclass
class Case:
    """A distinct convolution with what both tools made of it."""

    layer: Layer
    times: int
    ours: float = 0.0
    ours_s: float = 0.0
    proven: bool = False
    theirs: float = 0.0
    theirs_s: float = 0.0
    fed_back: float = 0.0
    restated: float = 0.0
    fullest: float = 0.0


def run(quick: bool) -> list[dict[str, object]]:
    """A row an architecture and network; the quick version takes two layers of ResNet-18.

    ZIGZAG_MINUTES is when no further layer is begun: its rows say how many layers of a network were done.
    """
    until = time.monotonic() + 60 * float(os.environ.get("ZIGZAG_MINUTES", "inf"))
    rows: list[dict[str, object]] = []
    for name, architecture in itertools.product(networks(), ARCHITECTURES):
        cases, done = distinct(networks()[name]), []
        if quick and name != "ResNet-18":
            continue
        job = {
            "hardware": f"{architecture}.yaml",
            "mapping": ARCHITECTURES[architecture],
            "lpf_limit": 6,
            "spatial": 1,
        }
        kept = Kept(architecture)
        with peer(job) as (chip, ask):
            for case in cases[:2] if quick else cases:
                if repr(case.layer.shape) in kept.answers or time.monotonic() < until:
                    race(case, chip, ask, kept)
                    done.append(case)
                    print(architecture, name, case, file=sys.stderr, flush=True)
        if done:
            rows.append({**row(architecture, name, done), "distinct": f"{len(done)} of {len(cases)}"})
    return rows


def networks() -> dict[str, list[Layer]]:
    """The convolutions of every network."""
    graph = count("resnet18", backward=False).graph
    resnet = [part.layer for part in workload_of(graph, ("forward",)).works if part.operator.kind == "conv"]
    return {"ResNet-18": resnet, "VGG-16": list(vgg16(1)), "AlexNet, batch 4": list(alexnet())}


def distinct(layers: list[Layer]) -> list[Case]:
    """Every different layer once, one group of it."""
    found: dict[tuple[int, ...], Case] = {}
    for layer in layers:
        if layer.shape in found:
            found[layer.shape].times += layer.G
        else:
            found[layer.shape] = Case(layer, layer.G)
    return list(found.values())


def race(case: Case, chip: dict[str, Any], ask: Any, kept: Kept) -> None:
    """Ours, then theirs, then ours in their cost model."""
    loops = {theirs: getattr(case.layer, ours) for theirs, ours in NAMES.items()}
    asked = {"name": case.layer.name, "stride": case.layer.stride_h, "loops": loops}
    begun = time.perf_counter()
    spread = {side: {dim: min(chip["sides"][side], loops[dim])} for side, dim in (("D1", "K"), ("D2", "C"))}
    posed = problems(loops, case.layer.stride_h, chip, spread)
    chains = [(one, cheapest_chain(one.lattice, one.borders, one.capacities)) for one in posed]
    best, chain = min(
        ((one, chain) for one, chain in chains if chain is not None),
        key=lambda pair: pair[0].constant + pair[1].cost,
    )
    case.ours_s = time.perf_counter() - begun
    case.ours = best.constant + chain.cost
    case.proven = min(one.constant + found.bound for one, found in chains if found is not None) >= case.ours - 1e-6
    key = repr(case.layer.shape)
    if key not in kept.answers:
        answer = ask(asked)
        kept.add(key, [answer["energy"], answer["wall_s"], restated(posed[0], answer["temporal"])])
    case.theirs, case.theirs_s, case.restated = kept.answers[key]
    back = ask({**asked, "temporal": temporal(best, chain, chip["memories"])})
    case.fed_back, case.fullest = back["energy"], max(back["fullest"].values())


class Kept:
    """ZigZag's answers by layer: energy, seconds, and what the restated rules say of its mapping."""

    def __init__(self, architecture: str) -> None:
        self.path = made_folder(data_home() / "benchmarks") / f"zigzag-3.9.1-{architecture}.json"
        self.answers: dict[str, list[float]] = json.loads(self.path.read_text()) if self.path.exists() else {}

    def add(self, key: str, answer: list[float]) -> None:
        """Keep one."""
        self.answers[key] = answer
        self.path.write_text(json.dumps(self.answers))


def row(architecture: str, network: str, cases: list[Case]) -> dict[str, object]:
    """Totals, and the worst of every check."""

    def total(name: str) -> float:
        return float(sum(case.times * getattr(case, name) for case in cases))

    ours_s, theirs_s = sum(case.ours_s for case in cases), sum(case.theirs_s for case in cases)
    return {
        "architecture": architecture,
        "network": network,
        "distinct": len(cases),
        "ours_uJ": round(total("fed_back") / 1e6, 3),
        "zigzag_uJ": round(total("theirs") / 1e6, 3),
        "ours_over_zigzag": round(total("fed_back") / total("theirs"), 5),
        "worst_layer": round(max(case.fed_back / case.theirs for case in cases), 6),
        "best_layer": round(min(case.fed_back / case.theirs for case in cases), 4),
        "proven": f"{sum(case.proven for case in cases)} of {len(cases)}",
        "restated_off": f"{max(abs(case.restated / case.theirs - 1) for case in cases):.0e}",
        "fed_back_off": f"{max(abs(case.fed_back / case.ours - 1) for case in cases):.0e}",
        "fullest": round(max(case.fullest for case in cases), 3),
        "ours_s": round(ours_s, 3),
        "zigzag_s": round(theirs_s, 1),
        "seconds_ratio": round(ours_s / theirs_s, 5),
    }


@contextmanager
def peer(job: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """A running ZigZag: its architecture, and a function that asks it about a layer."""
    script = Path(__file__).with_name("zigzag_peer.py")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    process = subprocess.Popen(
        [_python(), script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def ask(line: dict[str, Any]) -> dict[str, Any]:
        stdin.write(json.dumps(line) + "\n")
        stdin.flush()
        answered = stdout.readline()
        if not answered:
            raise RuntimeError(f"ZigZag stopped at {line}")
        return dict(json.loads(answered))

    try:
        yield ask(job), ask
    finally:
        stdin.close()
        process.wait(timeout=60)


def _python() -> Path:
    given = os.environ.get("SEVENFOLD_ZIGZAG")
    if given:
        return Path(given)
    folder = data_home() / "benchmarks" / "zigzag"
    python = folder / "bin" / "python"
    if not python.exists():
        constraints = Path(__file__).parents[1] / "constraints.txt"
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-c", constraints, *PACKAGES], check=True)
    return python
