"""The action behind ``sevenfold train``."""

from __future__ import annotations
