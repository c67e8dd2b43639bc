"""What weights as integers of 8 and of 4 bits cost, after training."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured
from sevenfold.recipes._paradigms import Bench, paradigm

_RECIPES = {"cnn": "digits-cnn", "wide_resnet": "wide-resnet-digits", "gpt": "python-docs-gpt"}
_WAYS = {"int8": (8, 32, False), "int8_weights_only": (8, 32, True), "int4": (4, 32, True)}


@paradigm(
    measured=(
        Measured("cnn_int8_accuracy", 0.964, 0.003),
        Measured("wide_resnet_int8_accuracy", 0.993, 0.004),
        Measured("wide_resnet_int4_accuracy", 0.993, 0.004),
        Measured("gpt_float32_loss", 1.520, 0.009),
        Measured("gpt_int8_loss", 1.523, 0.009),
        Measured("gpt_int4_loss", 1.617, 0.026),
    )
)
def quantization(bench: Bench) -> dict[str, float]:
    """Post-training quantization of two networks for digits and of a GPT: test loss, accuracy and bytes.

    int8 rounds weights by output channel and what layers are given; int4 rounds weights only, a scale for each 32.
    The GPT has no accuracy; its loss is in nats a character, and its perplexity exp(loss).

    Command:  sevenfold paradigms run quantization
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     180 s of CPU time for three seeds, most of it to train them
    Result:   means of seeds 0 to 2; standard deviations over seeds of accuracies are 0.2% to 0.4%, of losses 0.004
              to 0.007 (CNN, wide ResNet) and 0.009 (GPT; 0.026 with int4)
                              float32                   int8                      int4, groups of 32
              CNN             42 kB, 96.3%, 0.108       11 kB, 96.4%, 0.108       8 kB, 96.3%, 0.112
              wide ResNet     312 kB, 99.2%, 0.026      82 kB, 99.3%, 0.026       55 kB, 99.3%, 0.030
              GPT             443 kB, 1.520 nats        121 kB, 1.523 nats        77 kB, 1.617 nats
              perplexity      4.57                      4.59                      5.04
              int8 of the weights alone: as int8, and 1.521 nats for the GPT.
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
