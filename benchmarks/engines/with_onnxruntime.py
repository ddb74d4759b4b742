"""What onnxruntime does with a network: PyTorch writes it down as ONNX, which needs onnx."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime


def predict(
    images: np.ndarray, *, layers: Sequence[dict[str, Any]], **others: Any
) -> Callable[[], object]:
    """Forward in evaluation mode."""
    import torch

    from benchmarks.engines.with_torch import build

    x = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    file: Any = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter that came after this one needs another package, and gives the same network.
        warnings.simplefilter("ignore")
        torch.onnx.export(build(layers).eval(), (torch.from_numpy(x),), file, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["MINICNN_THREADS"])
    session = onnxruntime.InferenceSession(
        file.getvalue(), options, providers=["CPUExecutionProvider"]
    )
    feed = {session.get_inputs()[0].name: x}
    return lambda: session.run(None, feed)
