"""The action behind ``sevenfold quantize``: a finished run's weights as integers, and what that costs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sevenfold.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from sevenfold.checkpoints.integers import IntegerWeights
    from sevenfold.runs.record import RunRecord
    from sevenfold.training.workload import Workload

SCHEMA_VERSION = "1.0"
_IN_TOKENS = ("causal-lm", "masked-lm", "seq2seq")


@dataclass(frozen=True)
class Quantized:
    """A run before and after its weights became integers, on its test split."""

    run: str
    bits: int
    group: int | None  # numbers that share a scale; None: a whole output channel
    layers_with_integer_inputs: int
    tensors: int  # as integers
    file: str
    bytes_before: int  # of the model's state
    bytes_after: int  # of the same in the file, with scales and zeros
    test_loss_before: float
    test_loss_after: float  # of the weights as the file has them
    test_accuracy_before: float | None
    test_accuracy_after: float | None
    perplexity_before: float | None  # of a token, where there are tokens
    perplexity_after: float | None
    examples: int

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def quantize(
    run: str,
    *,
    bits: int = 8,
    group: int = 32,
    weights_only: bool = False,
    out: Path | str | None = None,
    stored: Path | str | None = None,
) -> Quantized:
    """Write a finished run's weights as integers, read them back, and score both on the test split.

    >>> quantize("digits-cnn-s0", bits=4).test_accuracy_after  # doctest: +SKIP
    0.958

    ``bits`` 8: one scale an output channel, and what linear and convolutional layers are given as 8 bits too, by
    ranges seen on training examples (``weights_only`` leaves them). ``bits`` 4: weights only, a scale for each
    ``group`` of them. ``out`` is in the run's folder without it; ``stored`` is a file that was written before,
    which is scored again instead.

    Raises UnknownNameError for a run that is not there, UsageError for one without a data set or of which a setting
    asks what there is not, CheckpointError for a file of another run.
    """
    from sevenfold.checkpoints import write_file
    from sevenfold.checkpoints.integers import IntegerWeights
    from sevenfold.runs.home import data_home
    from sevenfold.runs.store import RunStore
    from sevenfold.training.quantizing import integers_of, score_of_integers, score_on_test
    from sevenfold.training.trained import trained_workload

    record = _require_data(RunStore().require(run))
    _check(bits, group)
    _, workload = trained_workload(record.id)
    path = Path(stored) if stored is not None else _path(out, data_home() / "runs" / record.id, bits)
    weights = IntegerWeights.read(path) if stored is not None else None
    before, size = score_on_test(workload), _size(workload)
    if weights is None:
        facts = {"run_id": record.id, "recipe_digest": record.run_recipe().digest()}
        made = integers_of(workload, bits=bits, group=group, weights_only=weights_only, facts=facts)
        write_file(path, made.content())
        weights = IntegerWeights.read(path)
    _require_same(weights, record, path)
    after = score_of_integers(workload, weights, source=str(path))
    in_tokens = record.run_recipe().task in _IN_TOKENS
    return Quantized(
        run=record.id,
        bits=weights.bits,
        group=weights.group if weights.bits == 4 else None,
        layers_with_integer_inputs=len(weights.inputs),
        tensors=len(weights.shapes),
        file=str(path),
        bytes_before=size,
        bytes_after=weights.num_bytes,
        test_loss_before=before.loss,
        test_loss_after=after.loss,
        test_accuracy_before=before.accuracy,
        test_accuracy_after=after.accuracy,
        perplexity_before=math.exp(before.loss) if in_tokens else None,
        perplexity_after=math.exp(after.loss) if in_tokens else None,
        examples=before.examples,
    )


def _require_data(record: RunRecord) -> RunRecord:
    if record.run_recipe().task == "control":
        raise UsageError(
            f"run {record.id} has no test split to be scored on", got="task control", expected="a run with data"
        )
    return record


def _check(bits: int, group: int) -> None:
    if bits not in (4, 8):
        raise UsageError("no such number of bits", got=f"bits {bits}", expected="8 or 4")
    if group < 2 or group % 2:
        raise UsageError("a group is an even number of weights", got=f"group {group}", expected="2, 4, ... 32, ...")


def _path(out: Path | str | None, folder: Path, bits: int) -> Path:
    path = folder / f"int{bits}.safetensors" if out is None else Path(out)
    if path.suffix != ".safetensors":
        raise UsageError("the file's name does not fit", got=str(path), expected="a name that ends in .safetensors")
    return path


def _require_same(weights: IntegerWeights, record: RunRecord, path: Path) -> None:
    if weights.facts.get("run_id") != record.id:
        raise CheckpointError(
            "weights of another run", got=f"{path} of {weights.facts.get('run_id')}", expected=f"of {record.id}"
        )


def _size(workload: Workload) -> int:
    from sevenfold import checkpoints

    state = checkpoints.model_tensors(workload.model)
    places = {tensor.data_ptr(): tensor.numel() * tensor.element_size() for tensor in state.values()}
    return sum(places.values())
