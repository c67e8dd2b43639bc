"""What naming hidden characters of a text teaches for another task on it, of which few labels are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevenfold.recipes._paradigms import Bench, paradigm

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from sevenfold.data import Dataset

_FEW = (40, 400)
_TESTED = 2000  # lines at most, of the test documents
_AT_ONCE = 256
_INDENTED = 3  # spaces: examples, grammar and tables of Python's documentation stand in so far


@paradigm()
def self_supervised(bench: Bench) -> dict[str, float]:
    """BERT's features of lines of documentation, learnt without labels, in a small task with labels.

    The task: from the first 16 characters of a line, without its indentation, to tell whether it stood indented
    (examples, grammar, tables) or not (prose); two classes in equal parts. Labels are known of 20 and of 200 lines
    of each class in the training documents; accuracy is on lines of documents that BERT has not seen either.
    Logistic regression reads the mean of BERT's last hidden states, after bert-python-docs and as initialized, and
    the counts of characters and of pairs of neighbours in the line.

    Command:  sevenfold paradigms run self-supervised
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     not measured
    Result:   not measured
    """
    from sevenfold.training.representing.probing import linear_accuracy
    from sevenfold.training.workload import build_workload

    trained = bench.trained(bench.train("bert-python-docs"))
    untrained = build_workload(trained.recipe).model.eval()
    dataset = trained.dataset
    context = dataset.input_shape[0]
    lines, labels = _lines(dataset, "train", context, 2 * max(_FEW), bench.seed)
    tested, truth = _lines(dataset, "test", context, _TESTED, bench.seed)
    read = {
        "pretrained": (_hidden(trained.model, lines), _hidden(trained.model, tested)),
        "untrained": (_hidden(untrained, lines), _hidden(untrained, tested)),
        "characters": (_counts(lines, dataset.num_outputs), _counts(tested, dataset.num_outputs)),
    }
    figures = {}
    for few in _FEW:
        for name, (known, asked) in read.items():
            figures[f"{name}_at_{few}"] = linear_accuracy(known[:few], labels[:few], asked, truth)
    return figures


def _lines(
    dataset: Dataset, part: str, context: int, number: int, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Tokens [N, context] of the beginnings of lines, and whether they stood indented, classes by turns."""
    import numpy as np

    from sevenfold.data.order import order

    assert dataset.tokenizer is not None
    stream = getattr(dataset, part).windows.tokens.tolist()
    found: tuple[list[str], list[str]] = [], []
    for line in dict.fromkeys(dataset.tokenizer.decode(stream).split("\n")):
        bare = line.strip()
        indent = len(line) - len(line.lstrip())
        if len(bare) >= context and (indent == 0 or indent >= _INDENTED):
            found[indent > 0].append(bare[:context])
    each = min(number // 2, *(len(one) for one in found))
    chosen = [
        [one[index] for index in order(seed, label, 0, each, len(one), purpose=f"lines of {part}")]
        for label, one in enumerate(found)
    ]
    texts = [text for pair in zip(*chosen, strict=True) for text in pair]
    tokens = [dataset.tokenizer.encode(text).ids for text in texts]
    return np.array(tokens, dtype=np.int64), np.arange(2 * each, dtype=np.int64) % 2


def _hidden(model: nn.Module, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The mean of the last block's outputs over each line."""
    import numpy as np
    import torch

    from sevenfold.models.transformer.bert import BERT

    assert isinstance(model, BERT)
    with torch.no_grad():
        parts = [
            model.hidden(torch.from_numpy(tokens[start : start + _AT_ONCE])).mean(1)
            for start in range(0, len(tokens), _AT_ONCE)
        ]
    return np.asarray(torch.cat(parts), dtype=np.float32)


def _counts(tokens: npt.NDArray[np.int64], vocabulary: int) -> npt.NDArray[np.float32]:
    """How often each character, and each pair of neighbours hashed to 512 places, is in a line."""
    import numpy as np

    pairs = (tokens[:, :-1] * vocabulary + tokens[:, 1:]) % 512
    rows = np.zeros((len(tokens), vocabulary + 512), dtype=np.float32)
    lines = np.arange(len(tokens))[:, None]
    np.add.at(rows, (lines, tokens), 1)
    np.add.at(rows, (lines, vocabulary + pairs), 1)
    return rows
