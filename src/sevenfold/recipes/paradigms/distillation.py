"""What a teacher is worth to a small network: knowledge distillation."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured
from sevenfold.recipes._paradigms import Bench, paradigm


@paradigm(
    measured=(
        Measured("student_taught_accuracy", 0.916, 0.012),
        Measured("student_alone_accuracy", 0.877, 0.016),
        Measured("student_all_labels_accuracy", 0.936, 0.006),
        Measured("teacher_accuracy", 0.992, 0.003),
    )
)
def distillation(bench: Bench) -> dict[str, float]:
    """A small perceptron on a tenth of the digits with and without a teacher: soft targets as regularizers.

    The teacher is the wide ResNet of wide-resnet-digits, trained on all 1,079 training digits. Both students have
    the same initial weights, the same 108 pictures, batches and steps; the one alone has their labels only. Beside
    them the same student with all labels. Hinton et al. 2015, section 6, has this experiment on speech with 3% of
    the data.

    Command:  sevenfold paradigms run distillation
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     50 s of CPU time for three seeds
    Result:   means of seeds 0 to 2 (standard deviations)
              teacher, 77,562 parameters (310 kB), 1,079 labels    99.2% (0.3%)    0.026 nats
              student, 3,466 parameters (14 kB), taught            91.6% (1.2%)    0.269 nats
              student alone on the same 108 pictures               87.7% (1.6%)    0.421 nats
              student alone on all 1,079                           93.6% (0.6%)    0.169 nats
              With all the labels a teacher was worth nothing: a student of 682 parameters (width=8,
              data.fraction=1, batch_size=64, steps=1000) had 87.4% (3.2%) taught and 89.6% (1.4%) alone.
    """
    teacher = bench.train("wide-resnet-digits")
    taught = bench.train("distilled-digits", {"objective.teacher": teacher.id})
    alone = bench.train("distilled-digits", {"objective.teacher": None})
    whole = bench.train("distilled-digits", {"objective.teacher": None, "data.fraction": 1.0})
    runs = {"teacher": teacher, "student_taught": taught, "student_alone": alone, "student_all_labels": whole}
    figures = {}
    for name, run in runs.items():
        figures[f"{name}_accuracy"] = float(run.summary["test_accuracy"] or 0.0)
        figures[f"{name}_test_loss"] = float(run.summary["test_loss"] or 0.0)
    for name, run in (("teacher", teacher), ("student", taught)):
        figures[f"{name}_parameters"] = float(run.summary["parameters"] or 0.0)
        figures[f"{name}_bytes"] = 4 * figures[f"{name}_parameters"]  # float32
    return figures
