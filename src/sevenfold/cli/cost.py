"""``sevenfold cost``."""

from __future__ import annotations
