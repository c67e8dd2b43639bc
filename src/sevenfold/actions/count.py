"""The action behind ``sevenfold count``."""

from __future__ import annotations
