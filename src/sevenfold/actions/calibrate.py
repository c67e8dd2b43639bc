"""The action behind ``sevenfold calibrate``."""

from __future__ import annotations
