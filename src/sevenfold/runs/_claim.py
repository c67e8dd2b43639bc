"""Which process writes a run, and whether it is still alive.

A process is known by its id, when it started (ids are used again), its host and its process namespace (containers).
Where the id cannot be looked up (another host), the age of the last heartbeat decides.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import TypedDict

HEARTBEAT_S = 20.0
DEAD_AFTER_S = 120.0  # without a heartbeat, for a process that cannot be looked up from here


class Claim(TypedDict):
    """What a writer leaves in the row of its run."""

    token: str
    pid: int
    started: str
    place: str
    beat: float  # time.time() of the last heartbeat


def new_claim() -> Claim:
    """A claim of this process."""
    pid = os.getpid()
    return Claim(token=secrets.token_hex(8), pid=pid, started=_started(pid) or "", place=_place(), beat=time.time())


def is_alive(claim: Claim) -> bool:
    """Whether the process that holds the claim still lives."""
    if claim["place"] != _place():
        return time.time() - claim["beat"] < DEAD_AFTER_S
    started = _started(claim["pid"])
    return started is not None and (started == claim["started"] or not claim["started"])


@cache
def _place() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        return f"{socket.gethostname()} {boot.read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str | None:
    """When a process started, in whatever terms the system tells it; None when it is gone (or a zombie)."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()  # the command's name may hold spaces and parentheses
        return None if fields[0] in "ZX" else fields[19]
    shown = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True)
    state, _, started = shown.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()
