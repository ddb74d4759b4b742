"""Count what the stand-in moves between host and device, and how often the host waits.

``float(x)``, ``x.get()``, ``if x:``, ``x.tolist()`` and the like copy to the host and wait;
``cupy.asarray(host)`` copies to the device; ``x[mask]`` and ``cupy.nonzero(x)`` wait, because
the size of what they return is known only to the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["Transfers", "UnexpectedTransfer", "counting", "no_transfers", "record", "transfers"]


class UnexpectedTransfer(AssertionError):
    """Something crossed between host and device, or waited, inside ``no_transfers()``."""


@dataclass
class Transfers:
    """How often data crossed, and how often the host waited.

    Attributes
    ----------
    to_device, to_host : int
        Copies in each direction.
    synchronizations : int
        Waits for the device; every copy to the host is one.
    log : list of str
        What caused each, in order.
    """

    to_device: int = 0
    to_host: int = 0
    synchronizations: int = 0
    log: list[str] = field(default_factory=list)

    def add(self, kind: str, cause: str) -> None:
        """Count one event: ``"to_device"``, ``"to_host"`` or ``"synchronization"``."""
        self.log.append(f"{kind}: {cause}")
        self.to_device += kind == "to_device"
        self.to_host += kind == "to_host"
        self.synchronizations += kind != "to_device"

    def reset(self) -> None:
        """Start again from zero."""
        self.to_device = self.to_host = self.synchronizations = 0
        self.log.clear()


#: Everything since the running test began.
transfers = Transfers()
_open: list[Transfers] = [transfers]
_forbidding = 0


def record(kind: str, cause: str) -> None:
    """Count one event in every open count; raise where none may happen."""
    if _forbidding:
        raise UnexpectedTransfer(f"{kind}: {cause}, where no transfer or wait was expected")
    for count in _open:
        count.add(kind, cause)


@contextmanager
def counting() -> Iterator[Transfers]:
    """Count what happens inside: ``with counting() as seen: ...``, then ``seen.to_host == 1``."""
    count = Transfers()
    _open.append(count)
    try:
        yield count
    finally:
        _open[:] = [other for other in _open if other is not count]


@contextmanager
def no_transfers() -> Iterator[None]:
    """Raise ``UnexpectedTransfer`` at the very line that copies to or from the device, or waits."""
    global _forbidding
    _forbidding += 1
    try:
        yield
    finally:
        _forbidding -= 1
