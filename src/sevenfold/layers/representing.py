"""A model that says what its representation of an example is. Knows no data set."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

__all__ = ["Represents"]


class Represents(ABC):
    """A model whose representation is not simply what its last layer reads; found by ``isinstance``."""

    @abstractmethod
    def represent(self, *inputs: Tensor) -> Tensor:
        """The representation [B, F] of each example, without random numbers; called with what forward takes."""
