"""The action behind ``sevenfold runs``."""

from __future__ import annotations
