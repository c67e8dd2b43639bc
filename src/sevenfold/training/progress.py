"""What a run tells while it goes on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One optimizer step was taken."""

    run_id: str
    step: int  # steps taken so far
    steps: int  # steps of the recipe
    train_loss: float | None  # of the latest batch whose loss is known, nats per example or token
    validation_loss: float | None  # of the latest pass
    train_seconds: float  # of all training steps so far, earlier processes included
    resumed_from: int  # the step at which this process took over; 0 for a run from its start
    sampled: float = 0.0  # after the last step of a run that learns to sample: samples drawn so far
    samples: int = 0  # of how many

    @property
    def seconds_left(self) -> float | None:
        """Training time left at the pace so far."""
        return self.train_seconds / self.step * (self.steps - self.step) if self.step else None
