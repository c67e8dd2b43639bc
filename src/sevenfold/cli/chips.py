"""``sevenfold chips``."""

from __future__ import annotations
