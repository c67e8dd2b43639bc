"""The recipe: everything that determines a training run, as data.

A recipe names its model and data set; what those names build is known to the catalogues above. Two runs of equal
recipes are the same run: a run's identity is its recipe's digest.

>>> Recipe(name="r", task="classification", model=ModelChoice(name="mlp-small"), data=DataChoice(name="digits"),
...        steps=100).with_changes({"model.width": "64"}).model.settings
{'width': 64}
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import Field

from sevenfold.spec import Spec, digest_of

Scalar = bool | int | float | str | None

Task = Literal[
    "classification",
    "regression",
    "segmentation",
    "causal-lm",
    "masked-lm",
    "seq2seq",
    "word-vectors",
    "image-text",
    "generation",
    "contrastive",
    "control",
    "rlhf",
    "reward",
    "preference",
]


class ModelChoice(Spec):
    """Which model of the catalogue, and what differs from that preset."""

    name: str = Field(description="model preset from the catalogue, or custom/DIGEST")
    settings: dict[str, Scalar] = Field(default={}, description="settings that differ from the preset, by name")


class DataChoice(Spec):
    """Which data set, how it is split, and how much of its training part is kept."""

    name: str = Field(description="data set: digits, python-docs, folder:PATH, or arrays/SHA256")
    settings: dict[str, Scalar] = Field(
        default={}, description="settings of the data set (context, vocabulary, ...)"
    )
    split_seed: int = Field(default=0, ge=0, description="seed that fixes train, validation and test splits")
    fraction: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="share of the training examples kept; smaller sets nest in larger ones",
    )


class Optimizer(Spec):
    """How parameters follow gradients."""

    name: Literal["adamw", "adam", "sgd", "rmsprop", "adagrad", "graves-rmsprop"] = Field(
        default="adamw",
        description="adamw, adam, sgd, rmsprop or adagrad, as torch has them; graves-rmsprop: eps inside the root",
    )
    lr: float = Field(default=1e-3, gt=0, description="peak learning rate")
    weight_decay: float = Field(default=0.01, ge=0, description="decoupled for adamw, L2 for the others")
    beta1: float = Field(default=0.9, ge=0, lt=1, description="adamw, adam: decay of the gradient's mean")
    beta2: float = Field(
        default=0.999, ge=0, lt=1, description="adamw, adam, rmsprop: decay of the gradient's square"
    )
    eps: float = Field(default=1e-8, gt=0, description="added to the root of the square (not for sgd)")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="sgd, rmsprop: momentum")
    clip_norm: float | None = Field(default=1.0, gt=0, description="largest gradient norm; none to leave it")


class Schedule(Spec):
    """The learning rate over the run, as a share of its peak."""

    name: Literal["cosine", "constant", "linear", "inverse-sqrt", "step"] = Field(
        default="cosine",
        description="after the warm-up: cosine, constant, linear, inverse-sqrt, or step (a tenth at 1/2, at 3/4)",
    )
    warmup_fraction: float = Field(default=0.05, ge=0, le=1, description="share of the steps with a linear warm-up")
    final_fraction: float = Field(
        default=0.1, ge=0, le=1, description="cosine, linear: where it ends, as share of the peak"
    )


class Objective(Spec):
    """What is minimized on top of the task's cross-entropy."""

    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of the target spread over all classes"
    )
    teacher: str | None = Field(
        default=None,
        description="distillation: finished run whose model teaches (RUN); recipe:NAME is trained first",
    )
    temperature: float = Field(default=4.0, gt=0, description="distillation: of the softmax of both")
    teacher_share: float = Field(
        default=0.9, ge=0, le=1, description="distillation: weight of the teacher; the labels have the rest"
    )
    comparison: Literal["pairs", "best"] = Field(
        default="pairs", description="reward: all pairs of a ranking (InstructGPT), or the best of it (RLHF 2019)"
    )
    beta: float = Field(
        default=0.1, gt=0, description="preference: how strongly DPO holds the model to where it starts"
    )


class Feedback(Spec):
    """The task rlhf: how a language model learns from a reward of its answers, by PPO."""

    reward: str = Field(
        default="true", description="a finished run of a reward model, recipe:NAME, or true: the data set's own"
    )
    penalty: float = Field(
        default=0.05, ge=0, description="beta: weight of the divergence from the weights at the start, a token"
    )
    answer_tokens: int = Field(default=16, ge=1, description="longest answer that is drawn")
    minibatches: int = Field(default=4, ge=1, description="equal parts of a batch, an update each")
    epochs: int = Field(default=1, ge=1, description="passes over a batch of answers")
    clip: float = Field(default=0.2, gt=0, description="how far the ratio of probabilities may go from 1")
    discount: float = Field(default=1.0, ge=0, le=1, description="share of the value a token later")
    trace: float = Field(default=0.95, ge=0, le=1, description="lambda of the generalized advantages")
    value_weight: float = Field(default=1.0, ge=0, description="weight of the error of the value network")
    pretraining: float = Field(
        default=0.0, ge=0, description="gamma of PPO-ptx: weight of the loss on texts of the pre-training"
    )


class Limits(Spec):
    """Hard limits beside the steps; the first that runs out stops the run. ``None`` is no limit."""

    time_s: float | None = Field(default=None, gt=0, description="seconds of training")
    energy_j: float | None = Field(
        default=None, gt=0, description="joules, metered where the machine can, else modelled"
    )


class Recipe(Spec):
    """Everything that determines a training run."""

    name: str = Field(description="what the recipe is called; not part of what a run computes")
    task: Task = Field(description="what is learned: " + ", ".join(get_args(Task)))
    model: ModelChoice
    data: DataChoice
    start: str | None = Field(
        default=None,
        description="finished run whose weights the model starts from (RUN, or RUN/prefix for a part of it); "
        "recipe:NAME is trained first",
    )
    objective: Objective = Objective()
    feedback: Feedback = Feedback()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    limits: Limits = Limits()
    batch_size: int = Field(
        default=64, ge=1, description="examples an optimizer step (before accumulation splits them)"
    )
    accumulate: int = Field(default=1, ge=1, description="micro-batches an optimizer step; must divide batch_size")
    steps: int = Field(default=500, ge=1, description="optimizer steps")
    seed: int = Field(default=0, ge=0, description="initialization, data order, dropout, and which subset is kept")
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="fp32, or bf16 autocast")
    compile: bool = Field(default=False, description="torch.compile the model")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto takes CUDA where present")
    threads: int = Field(default=1, ge=0, description="CPU threads inside an operator; 0 is all cores")
    evaluate_every: int = Field(
        default=100, ge=1, description="steps between validation passes (one at the end always)"
    )
    evaluate_examples: int = Field(default=4096, ge=1, description="validation examples a pass, at most")
    checkpoint_every: int | None = Field(
        default=None, ge=1, description="steps between checkpoints; none for one every five minutes"
    )

    def run_id(self) -> str:
        """The identity of the run: its name and 12 hexadecimal digits of what determines it."""
        return f"{self.name}-s{self.seed}-{self.identity()[:12]}"

    @property
    def model_task(self) -> Task:
        """The task that its model is for: what answers prompts is a language model, however it learned to."""
        return "causal-lm" if self.task in ("rlhf", "preference") else self.task

    @property
    def data_task(self) -> Task:
        """The task that its data are for."""
        return "causal-lm" if self.task == "rlhf" else self.task

    def identity(self) -> str:
        """SHA-256 of what determines the run: all but its name and how often it is saved.

        Settings that the first version did not have are left out where they change nothing, so that the runs of
        then keep their identity.
        """
        determining = self.with_changes({"name": "-", "checkpoint_every": None}).to_dict()
        for path, default in _ADDED.items():
            *outer, key = path.split(".")
            place = determining
            for name in outer:
                place = place[name]
            if place[key] == default:
                del place[key]
        return digest_of(determining)


#: Dotted key of a setting that came later -> the value that changes nothing.
_ADDED: dict[str, Any] = {
    "start": None,
    "objective.teacher": None,
    "objective.temperature": 4.0,
    "objective.teacher_share": 0.9,
    "feedback": Feedback().to_dict(),
    "objective.comparison": "pairs",
    "objective.beta": 0.1,
}
