"""Who takes part in the contests."""

from __future__ import annotations

from benchmarks.contest import Contender

__all__ = ["ALL", "FLOAT32", "OURS", "find"]

OURS = "minicnn"
FLOAT32 = ("torch", "torch-channels-last")  # PyTorch's two layouts, of which the better one counts

_TORCH = ("with_torch", "torch")
ALL = (
    Contender(OURS, "minicnn", "with_minicnn", environment={"MINICNN_NUMBA": "1"}),
    Contender(
        "minicnn-numpy",
        "minicnn without Numba",
        "with_minicnn",
        "numba",
        environment={"MINICNN_NUMBA": "0"},
    ),
    Contender("torch", "PyTorch NCHW", *_TORCH),
    Contender("torch-channels-last", "PyTorch channels-last", *_TORCH, {"channels_last": True}),
    Contender("torch-bf16", "PyTorch bf16", *_TORCH, {"channels_last": True, "bfloat16": True}),
    Contender(
        "torch-compile", "PyTorch compiled", *_TORCH, {"channels_last": True, "compiled": True}
    ),
    Contender(
        "torch-default-adam",
        "PyTorch default Adam",
        *_TORCH,
        {"channels_last": True, "fused_adam": False},
    ),
    Contender("jax", "JAX", "with_jax", "jax"),
    Contender("tinygrad", "tinygrad", "with_tinygrad", "tinygrad"),
    Contender("onnxruntime", "onnxruntime", "with_onnxruntime", "onnxruntime"),
)


def find(names: tuple[str, ...]) -> list[Contender]:
    """Return the contenders of these names."""
    return [contender for contender in ALL if contender.name in names]
