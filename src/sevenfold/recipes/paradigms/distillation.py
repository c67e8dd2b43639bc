"""What a teacher is worth to a small network: knowledge distillation."""

from __future__ import annotations

from sevenfold.recipes._paradigms import Bench, paradigm


@paradigm()
def distillation(bench: Bench) -> dict[str, float]:
    """A small perceptron with and without a teacher, beside the teacher: test accuracy, loss and size.

    The teacher is the wide ResNet of wide-resnet-digits. Both students have the same initial weights, batches and
    steps; the one alone has the labels only.

    Command:  sevenfold paradigms run distillation
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     not measured
    Result:   not measured
    """
    teacher = bench.train("wide-resnet-digits")
    taught = bench.train("distilled-digits", {"objective.teacher": teacher.id})
    alone = bench.train("distilled-digits", {"objective.teacher": None})
    figures = {}
    for name, run in (("teacher", teacher), ("student_taught", taught), ("student_alone", alone)):
        figures[f"{name}_accuracy"] = float(run.summary["test_accuracy"] or 0.0)
        figures[f"{name}_test_loss"] = float(run.summary["test_loss"] or 0.0)
    for name, run in (("teacher", teacher), ("student", taught)):
        figures[f"{name}_parameters"] = float(run.summary["parameters"] or 0.0)
        figures[f"{name}_bytes"] = 4 * figures[f"{name}_parameters"]  # float32
    return figures
