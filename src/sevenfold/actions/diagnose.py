"""The action behind ``sevenfold diagnose``."""

from __future__ import annotations
