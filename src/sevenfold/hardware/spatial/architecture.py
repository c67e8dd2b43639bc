"""A spatial chip as data: memories and arrays from the outermost memory inwards, down to the multiplier.

The list is a tree: every array multiplies what lies below it by rows x columns. Memories of one place (the three
scratchpads of a processing element) follow each other. An operand goes from the innermost memory above that may
hold it to the next one below that may, past those that may not. Energies are in ``energy_unit`` (joules, or
energies of one multiply-accumulate), a word.

>>> tiny = SpatialChip(name="tiny", clock_hz=1e6, word_bits=16, mac_energy=1.0, levels=[
...     Memory(name="DRAM", role="dram", read_energy=200.0, write_energy=200.0),
...     Array(name="array", rows=2, columns=2),
...     Memory(name="RF", role="register", capacity_words=8, read_energy=1.0, write_energy=1.0)])
>>> tiny.num_pes, [tiny.levels[n].name for n in tiny.chain("W")]
(4, ['DRAM', 'RF'])
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from sevenfold.errors import InputFileError, SpecError, UsageError, unknown_name
from sevenfold.hardware.spatial.layer import DIMS, OPERAND_NAMES, OPERANDS, Dim, Operand
from sevenfold.spec import Spec

Role = Literal["dram", "buffer", "register"]
Buffering = Literal["single", "double", "stream"]


class Memory(Spec):
    """One memory level; ``None`` is without limit or without cost."""

    kind: Literal["memory"] = "memory"
    name: str = Field(min_length=1)
    role: Role = Field(description="which row of an energy table it takes")
    capacity_words: int | None = Field(default=None, description="words of one instance, all operands together")
    holds: tuple[Operand, ...] = Field(default=("W", "I", "O"), description="operands that it may hold")
    read_energy: float = Field(default=0.0, ge=0, description="of reading one word, in the chip's energy unit")
    write_energy: float = Field(default=0.0, ge=0, description="of writing one word")
    read_words_per_cycle: float | None = Field(default=None, gt=0, description="read port of one instance")
    write_words_per_cycle: float | None = Field(default=None, gt=0, description="write port of one instance")
    words_per_cycle: float | None = Field(default=None, gt=0, description="one port for reading and writing")
    buffering: Buffering = Field(
        default="stream",
        description="single: filling waits for computing; double: two tiles fit and filling runs beside it; "
        "stream: words are replaced one by one while computing goes on",
    )
    reads_first_sums: bool = Field(
        default=False, description="partial sums are read (zeros or biases) even when they are begun"
    )
    gated_at_zero: bool = Field(
        default=False, description="it is not read for a multiplication whose input is zero (a register)"
    )


class Array(Spec):
    """Rows x columns of what lies below; what its network can do, and which dimensions each direction may carry."""

    kind: Literal["array"] = "array"
    name: str = Field(min_length=1)
    rows: int
    columns: int = 1
    transfer_energy: float = Field(default=0.0, ge=0, description="of a word between neighbours, or to one element")
    multicast: tuple[Operand, ...] = Field(
        default=("W", "I"), description="read once for all elements that need it"
    )
    accumulates: bool = Field(default=True, description="partial sums of several elements are added on their way")
    row_dims: tuple[Dim, ...] = Field(default=DIMS, description="dimensions that may lie along the rows")
    column_dims: tuple[Dim, ...] = Field(default=DIMS, description="dimensions that may lie along the columns")
    whole: tuple[Dim, ...] = Field(
        default=(), description="the dataflow lays these out in full; the mapper keeps to it"
    )


Level = Annotated[Memory | Array, Field(discriminator="kind")]


class SpatialChip(Spec):
    """Memories and arrays, outermost first; clock, static power, energies."""

    name: str
    title: str = ""
    levels: list[Level] = Field(min_length=1, description="memories and arrays, outermost first")
    clock_hz: float = Field(gt=0)
    word_bits: int = Field(default=16, ge=1, description="bits of a word of every operand")
    mac_energy: float = Field(default=0.0, ge=0)
    gated_mac_share: float = Field(
        default=0.0, ge=0, le=1, description="of a multiply-accumulate's energy, saved where its input is zero"
    )
    run_length_coding: bool = Field(
        default=False, description="feature maps cross to DRAM run-length coded where that is smaller (16 bits)"
    )
    applies: tuple[str, ...] = Field(
        default=(), description="operators done on the way to DRAM without traffic of their own: relu"
    )
    pipeline_stages: int = Field(default=1, ge=1, description="cycles until the first result leaves a multiplier")
    static_w: float = Field(default=0.0, ge=0)
    register_tiles: dict[Dim, Literal["one", "whole"]] = Field(
        default={}, description="what the dataflow prescribes of a register's tile; the mapper keeps to it"
    )
    energy_unit: Literal["J", "MAC"] = "J"
    energy_source: str = ""
    area_note: str = ""
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> SpatialChip:
        _check_names(self)
        for level in self.levels:
            _check_level(self.name, level)
        if isinstance(self.levels[0], Array) or self.levels[0].capacity_words is not None:
            raise SpecError(
                f"chip {self.name!r}: the outermost level is a memory without limit",
                got=self.levels[0].name,
                hint="a DRAM with capacity_words=None in the first place",
            )
        if self.run_length_coding and self.word_bits != 16:
            raise SpecError(
                f"chip {self.name!r} codes words of 16 bits", got=f"word_bits={self.word_bits}", expected="16"
            )
        if missing := set(OPERANDS) - set(self.levels[0].holds):
            raise SpecError(
                f"chip {self.name!r}, level {self.levels[0].name!r} must hold every operand",
                got=", ".join(self.levels[0].holds),
                expected=", ".join(OPERANDS) + f" ({', '.join(OPERAND_NAMES[o] for o in sorted(missing))} missing)",
            )
        return self

    @property
    def memories(self) -> tuple[Memory, ...]:
        """The memories, outermost first."""
        return tuple(level for level in self.levels if isinstance(level, Memory))

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays, outermost first."""
        return tuple(level for level in self.levels if isinstance(level, Array))

    @property
    def num_pes(self) -> int:
        """Processing elements (multipliers) of the chip."""
        number = 1
        for array in self.arrays:
            number *= array.rows * array.columns
        return number

    @property
    def peak_macs_per_s(self) -> float:
        """Multiply-accumulates a second with every element busy."""
        return self.num_pes * self.clock_hz

    def chain(self, operand: Operand) -> list[int]:
        """Places of the memories that an operand passes, outermost first."""
        return [n for n, level in enumerate(self.levels) if isinstance(level, Memory) and operand in level.holds]

    def level_energy(self, name: str) -> float:
        """Energy of reading a word of a memory, by its name."""
        level = self.levels[self.place(name)]
        return level.read_energy if isinstance(level, Memory) else level.transfer_energy

    def place(self, name: str) -> int:
        """The place of a level in the list; raises UnknownNameError with the nearest."""
        for n, level in enumerate(self.levels):
            if level.name == name:
                return n
        raise unknown_name(f"level of {self.name}", name, [level.name for level in self.levels])

    def with_level(self, name: str, **changes: Any) -> SpatialChip:
        """A copy with one level changed: ``eyeriss.with_level("GLB", capacity_words=65536)``."""
        number = self.place(name)
        data = self.to_dict()
        data["levels"][number] |= changes
        return SpatialChip.from_dict(data)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """A chip from plain data; faults of a level are told with its name."""
        if isinstance(settings, Mapping) and isinstance(settings.get("levels"), list):
            for number, level in enumerate(settings["levels"]):
                _read_level(str(settings.get("name", "")), number, level)
        return super().from_dict(settings)

    @classmethod
    def from_file(cls, path: str | Path) -> SpatialChip:
        """A chip from a JSON file; InputFileError where it cannot be read, SpecError naming the level."""
        try:
            data = json.loads(Path(path).read_text())
        except (OSError, ValueError) as error:
            raise InputFileError("a chip's file cannot be read", got=f"{path} ({error})", expected="JSON") from None
        return cls.from_dict(data)


def _read_level(chip: str, number: int, level: Any) -> None:
    """Raises the fault of one level, with the chip and the level named."""
    if not isinstance(level, Mapping):
        return  # told by the whole chip's check
    where = f"chip {chip!r}, level {level.get('name', number)!r}"
    kinds: dict[Any, type[Memory] | type[Array]] = {"memory": Memory, "array": Array}
    kind = kinds.get(level.get("kind", "memory"))
    if kind is None or "kind" not in level:
        raise SpecError(f"{where} is of no kind", got=repr(level.get("kind")), expected="kind memory or array")
    try:
        kind.from_dict(level)
    except UsageError as error:
        raise type(error)(
            f"{where}: {error.message}", got=error.got, expected=error.expected, hint=error.hint
        ) from None


def _check_names(chip: SpatialChip) -> None:
    seen: set[str] = set()
    for level in chip.levels:
        if level.name in seen:
            raise SpecError(f"chip {chip.name!r} has two levels of one name", got=level.name)
        seen.add(level.name)


def _check_level(chip: str, level: Memory | Array) -> None:
    where = f"chip {chip!r}, level {level.name!r}"
    if isinstance(level, Array):
        for side in ("rows", "columns"):
            if getattr(level, side) < 1:
                raise SpecError(f"{where} has no {side}", got=getattr(level, side), expected="at least 1")
        return
    if level.capacity_words is not None and level.capacity_words < 1:
        raise SpecError(f"{where} holds no word", got=level.capacity_words, expected="capacity_words of at least 1")
    if not level.holds:
        raise SpecError(f"{where} holds no operand", expected="some of W, I, O")
    if len(set(level.holds)) != len(level.holds):
        raise SpecError(f"{where} names an operand twice", got=", ".join(level.holds))
    if level.words_per_cycle is not None and (level.read_words_per_cycle or level.write_words_per_cycle):
        raise SpecError(
            f"{where} has one port and two",
            expected="words_per_cycle, or read_words_per_cycle and write_words_per_cycle",
        )


def require_levels(chip: SpatialChip, roles: dict[str, Any], table: str) -> None:
    """UsageError naming the first memory that an energy table has no figure for."""
    for memory in chip.memories:
        if memory.role not in roles:
            raise UsageError(
                f"energy table {table!r} has no figure for level {memory.name!r} of {chip.name}",
                got=f"role {memory.role!r}",
                expected=f"one of {', '.join(sorted(roles))}",
            )
