"""``sevenfold count``."""

from __future__ import annotations
