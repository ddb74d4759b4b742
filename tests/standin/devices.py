"""``cupy.cuda`` of the stand-in: one device, streams that are always done, waits that count."""

from __future__ import annotations

from typing import Any

from standin import counters

__all__ = ["CUDA", "RUNTIME", "Device", "Event", "MemoryPool", "Stream"]

MEMORY = 8 * 2**30


class Device:
    """The one device."""

    def __init__(self, device: int | None = None) -> None:
        if device not in (None, 0):
            raise ValueError(f"the stand-in has device 0 alone, not {device}")
        self.id = 0
        self.compute_capability = "80"
        self.mem_info = (MEMORY, MEMORY)

    def synchronize(self) -> None:
        """Wait for the device."""
        counters.record("synchronization", "Device.synchronize()")

    def use(self) -> Device:
        """Make this the current device."""
        return self

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device)

    def __hash__(self) -> int:
        return self.id


class Event:
    """A point in a stream."""

    def __init__(
        self, block: bool = False, disable_timing: bool = False, interprocess: bool = False
    ) -> None:
        self.done = True

    def record(self, stream: Any = None) -> None:
        """Mark the present point."""

    def synchronize(self) -> None:
        """Wait until the point is passed."""
        counters.record("synchronization", "Event.synchronize()")


class Stream:
    """A queue of work; usable as a context manager."""

    null: Stream

    def __init__(
        self,
        null: bool = False,
        non_blocking: bool = False,
        ptds: bool = False,
        priority: int | None = None,
    ) -> None:
        self.done = True

    def synchronize(self) -> None:
        """Wait until the stream's work is done."""
        counters.record("synchronization", "Stream.synchronize()")

    def use(self) -> Stream:
        """Make this the current stream."""
        return self

    def record(self, event: Event | None = None) -> Event:
        """Mark the present point."""
        return event or Event()

    def wait_event(self, event: Event) -> None:
        """Let later work wait for an event."""

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exception: object) -> None:
        return None


Stream.null = Stream(null=True)


class MemoryPool:
    """The pool that arrays come from; the stand-in's holds nothing."""

    def used_bytes(self) -> int:
        """Return the bytes in use."""
        return 0

    def total_bytes(self) -> int:
        """Return the bytes taken from the device."""
        return 0

    def free_all_blocks(self, stream: Any = None) -> None:
        """Give unused memory back."""

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        """Limit the pool."""


def get_current_stream(device_id: int = -1) -> Stream:
    """Return the current stream."""
    return Stream.null


def is_available() -> bool:
    """Tell whether there is a device."""
    return True


CUDA = {
    "Device": Device,
    "Event": Event,
    "MemoryPool": MemoryPool,
    "Stream": Stream,
    "get_current_stream": get_current_stream,
    "is_available": is_available,
}
RUNTIME = {
    "deviceSynchronize": Device().synchronize,
    "getDevice": lambda: 0,
    "getDeviceCount": lambda: 1,
    "getDeviceProperties": lambda device: {
        "name": b"stand-in",
        "totalGlobalMem": MEMORY,
        "major": 8,
        "minor": 0,
    },
    "memGetInfo": lambda: (MEMORY, MEMORY),
    "runtimeGetVersion": lambda: 12000,
}
