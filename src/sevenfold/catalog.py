"""Name -> builder, for models, data sets, chips and recipes.

A catalogue knows nothing of what its entries build. Its modules are imported at the first look-up, so that
naming a catalogue costs nothing. The directory listing is the catalogue: every module of the package whose name
does not start with an underscore is imported, and registers what it holds.
"""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sevenfold.errors import unknown_name

T = TypeVar("T")


@dataclass
class Catalogue(Generic[T]):
    """Entries of one kind by name.

    >>> shapes: Catalogue[int] = Catalogue("shape")
    >>> shapes.add("square", 4)
    >>> shapes["square"], shapes.names()
    (4, ['square'])
    """

    kind: str
    package: str | None = None  # imported (with all its public modules) at the first look-up
    _entries: dict[str, T] = field(default_factory=dict)
    _finders: list[Callable[[str], T | None]] = field(default_factory=list)
    _loaded: bool = False
    _loading: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def add(self, name: str, entry: T, *, replace: bool = False) -> None:
        """Register an entry; a second entry of one name is a mistake in the program unless ``replace``."""
        assert replace or name not in self._entries, f"{self.kind} {name!r} is registered twice"
        self._entries[name] = entry

    def add_finder(self, finder: Callable[[str], T | None]) -> None:
        """Register a function asked for names that have no entry (``folder:PATH``, the stored ``this-machine``)."""
        self._finders.append(finder)

    def __getitem__(self, name: str) -> T:
        self._load()
        if name in self._entries:
            return self._entries[name]
        for finder in self._finders:
            found = finder(name)
            if found is not None:
                return found
        raise unknown_name(self.kind, name, self._entries)

    def __contains__(self, name: str) -> bool:
        self._load()
        return name in self._entries or any(finder(name) is not None for finder in self._finders)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        self._load()
        return len(self._entries)

    def names(self) -> list[str]:
        """All names, sorted."""
        self._load()
        return sorted(self._entries)

    def _load(self) -> None:
        if self._loaded or self.package is None:
            return
        with self._lock:  # another thread waits until all entries are there
            if self._loading:
                return  # a module of the package looks something up while it is imported
            self._loading = True
            try:
                package = importlib.import_module(self.package)
                for module in pkgutil.walk_packages(package.__path__, self.package + "."):
                    if not any(part.startswith("_") for part in module.name.split(".")):
                        importlib.import_module(module.name)
                self._loaded = True
            finally:
                self._loading = False
