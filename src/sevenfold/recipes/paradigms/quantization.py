"""What weights as integers of 8 and of 4 bits cost, after training."""

from __future__ import annotations

from sevenfold.recipes._paradigms import Bench, paradigm

_RECIPES = {"cnn": "digits-cnn", "wide_resnet": "wide-resnet-digits", "gpt": "python-docs-gpt"}
_WAYS = {"int8": (8, 32, False), "int8_weights_only": (8, 32, True), "int4": (4, 32, True)}


@paradigm()
def quantization(bench: Bench) -> dict[str, float]:
    """Post-training quantization of two networks for digits and of a GPT: test loss, accuracy and bytes.

    int8 rounds weights by output channel and what layers are given; int4 rounds weights only, a scale for each 32.
    The GPT has no accuracy; its loss is in nats a character.

    Command:  sevenfold paradigms run quantization
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     not measured
    Result:   not measured
    """
    from sevenfold import checkpoints
    from sevenfold.training.quantizing import integers_of, score_of_integers, score_on_test

    figures = {}
    for name, recipe in _RECIPES.items():
        record = bench.train(recipe)
        before = score_on_test(bench.trained(record))
        scores = {"float32": before}
        for way, (bits, group, weights_only) in _WAYS.items():
            workload = bench.trained(record)
            if way == "int8":
                state = checkpoints.model_tensors(workload.model).values()
                size = sum(tensor.numel() * tensor.element_size() for tensor in state)
                figures[f"{name}_float32_bytes"] = float(size)
            weights = integers_of(workload, bits=bits, group=group, weights_only=weights_only)
            scores[way] = score_of_integers(workload, weights)
            figures[f"{name}_{way}_bytes"] = float(weights.num_bytes)
        for way, score in scores.items():
            figures[f"{name}_{way}_loss"] = score.loss
            if score.accuracy is not None:
                figures[f"{name}_{way}_accuracy"] = score.accuracy
    return figures
