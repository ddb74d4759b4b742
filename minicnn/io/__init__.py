"""Files of weights: safetensors with all that is needed to build the network again."""

from minicnn.io.tensor_file import host_array, read_tensors, write_tensors
from minicnn.io.weights import WeightsMetadata, load_weights, read_weights, save_weights

__all__ = [
    "WeightsMetadata",
    "host_array",
    "load_weights",
    "read_tensors",
    "read_weights",
    "save_weights",
    "write_tensors",
]
