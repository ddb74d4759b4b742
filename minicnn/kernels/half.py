"""Sums of float16 numbers, which half precision would round off, or overflow."""

from __future__ import annotations

from typing import Any

__all__ = ["widened"]


def widened(x: Any) -> Any:
    """Return an array of float16 as float32, to be added up, and any other as it is."""
    return x.astype("float32") if x.dtype == "float16" else x
