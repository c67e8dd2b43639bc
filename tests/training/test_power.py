"""Joules: counters that wrap, machines without a meter, and what a model of the machine says."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from sevenfold.training.power import ModelledMeter, NvmlMeter, RaplMeter, find_meter


def zone(root: Path, name: str, energy_uj: int, range_uj: int) -> Path:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return folder


def test_rapl_adds_the_packages_and_survives_a_wrap(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", 900_000, 1_000_000)
    second = zone(tmp_path, "intel-rapl:1", 0, 1_000_000)
    zone(tmp_path, "intel-rapl:0:0", 5, 1_000_000)  # a part of package 0: not counted again
    meter = RaplMeter(tmp_path)
    assert meter.read_j(0) == 0
    (first / "energy_uj").write_text("950000")
    (second / "energy_uj").write_text("30000")
    assert meter.read_j(0) == pytest.approx(0.08)
    (first / "energy_uj").write_text("10000")  # wrapped: 50,000 to the end and 10,000 more
    assert meter.read_j(0) == pytest.approx(0.14)
    assert meter.method == "measured"
    assert "2 CPU package" in meter.source


def test_no_zone_or_one_that_only_root_may_read_is_no_meter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sevenfold.training.power._RAPL", tmp_path)
    with pytest.raises(OSError, match="no RAPL"):
        RaplMeter(tmp_path)
    zone(tmp_path, "intel-rapl:0", 1, 2)

    def refused(self: Path, *args: object, **options: object) -> str:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(PermissionError):
        RaplMeter(tmp_path)
    assert find_meter("cpu") is None


def test_a_machine_with_rapl_has_a_meter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, "intel-rapl:0", 1, 2)
    monkeypatch.setattr(RaplMeter.__init__, "__defaults__", (tmp_path,))
    assert isinstance(find_meter("cpu"), RaplMeter)


class NVMLError(Exception):
    """As pynvml has it."""


NVMLError.__module__ = "pynvml"


def nvml(*, works: bool) -> ModuleType:
    """A module that answers as pynvml does, for device 3; its counter is in millijoules."""
    module = ModuleType("pynvml")
    counter = iter([1000, 1500, 9000])

    def begin() -> None:
        if not works:
            raise NVMLError("Driver Not Loaded")

    module.nvmlInit = begin  # type: ignore[attr-defined]
    module.nvmlDeviceGetHandleByIndex = lambda index: {3: "device"}[index]  # type: ignore[attr-defined]
    module.nvmlDeviceGetTotalEnergyConsumption = lambda handle: next(counter)  # type: ignore[attr-defined]
    return module


def test_nvml_is_read_in_joules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml(works=True))
    meter = find_meter("cuda", 3)
    assert isinstance(meter, NvmlMeter)
    assert [meter.read_j(0), meter.read_j(0)] == [1.5, 9.0]
    assert meter.source == "NVML, device 3"


def test_no_driver_or_no_library_is_no_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml(works=False))
    assert find_meter("cuda", 3) is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert find_meter("cuda", 3) is None


def test_another_fault_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml(works=True))
    with pytest.raises(KeyError):
        find_meter("cuda", 0)


def test_a_modelled_meter_counts_steps_and_says_so() -> None:
    meter = ModelledMeter(0.5, "roofline of a chip")
    assert [meter.read_j(0), meter.read_j(7)] == [0.0, 3.5]
    assert meter.method == "modelled"
