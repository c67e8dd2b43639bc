"""What naming hidden characters of a text teaches for another task on it, of which few labels are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevenfold.recipes._catalogue import RECIPES
from sevenfold.recipes._paradigms import Bench, paradigm

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

_FEW = (40, 400)
_AT_ONCE = 256
_PAIRS = 1024


@paradigm()
def self_supervised(bench: Bench) -> dict[str, float]:
    """BERT's features of names, learnt without labels, read for the language that a name is in.

    BERT names hidden characters of names of countries and languages in eight languages (data set latin-names, the
    model and optimizer of bert-python-docs). Then 40 or 400 training names have their language told; accuracy is on
    the names of countries and languages that were in no training window. Logistic regression reads the mean of
    BERT's last hidden states, trained and as initialized, and the counts of characters and of pairs of neighbours.
    Seeds draw other labelled names too.

    Command:  sevenfold paradigms run self-supervised
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     not measured
    Result:   not measured
    """
    from sevenfold.data import labelled_of
    from sevenfold.data.latin_names import LANGUAGES, labelled_names
    from sevenfold.training.representing.probing import linear_accuracy
    from sevenfold.training.workload import build_workload

    masked = (
        RECIPES["bert-python-docs"].recipe().with_changes({"name": "bert-latin-names", "data.name": "latin-names"})
    )
    trained = bench.trained(bench.train(masked))
    untrained = build_workload(trained.recipe).model.eval()
    seed = trained.recipe.data.split_seed
    (tokens, labels), (asked, truth) = (labelled_names(trained.dataset, part, seed) for part in ("train", "test"))
    vocabulary = trained.dataset.num_outputs
    figures = {"commonest_language": max(float((truth == label).mean()) for label in range(len(LANGUAGES)))}
    for few in _FEW:
        chosen = labelled_of(labels, few, len(LANGUAGES), bench.seed)
        for name, (known, unseen) in {
            "pretrained": (_hidden(trained.model, tokens[chosen]), _hidden(trained.model, asked)),
            "untrained": (_hidden(untrained, tokens[chosen]), _hidden(untrained, asked)),
            "characters": (_counts(tokens[chosen], vocabulary), _counts(asked, vocabulary)),
        }.items():
            figures[f"{name}_at_{few}"] = linear_accuracy(known, labels[chosen], unseen, truth)
    return figures


def _hidden(model: nn.Module, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The mean of the last block's outputs over each window."""
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
    """How often each character, and each pair of neighbours (hashed to 1,024 places), is in a window."""
    import numpy as np

    pairs = (tokens[:, :-1] * vocabulary + tokens[:, 1:]) % _PAIRS
    rows = np.zeros((len(tokens), vocabulary + _PAIRS), dtype=np.float32)
    lines = np.arange(len(tokens))[:, None]
    np.add.at(rows, (lines, tokens), 1)
    np.add.at(rows, (lines, vocabulary + pairs), 1)
    return rows
