"""The loop that trains a recipe, exactly resumable; what it needs around it; and what measures a step.

workload    recipe -> model, data set, loss, device
batches     which examples a step sees        schedules   the learning rate of a step
steps       one optimizer step                loop        steps, validation passes, checkpoints when due
sampling/   samples of a finished run: figures, baselines, sheets
running     a recipe's run, from opening or resuming it to its summary in the run store
power       joules                            conditions  threads, random numbers, signals
"""

from sevenfold.training.power import PowerMeter, find_meter
from sevenfold.training.progress import Progress
from sevenfold.training.running import train_run
from sevenfold.training.workload import Workload, build_workload

__all__ = ["PowerMeter", "Progress", "Workload", "build_workload", "find_meter", "train_run"]
