"""Sizes, parameters and operation counts of a layer, and the summary of a whole model."""

from minicnn.inspect.counts import (
    ConvLayer,
    conv_cost,
    conv_output_size,
    conv_parameters,
    pool_output_size,
    total_conv_operations,
)
from minicnn.inspect.summarize import summary
from minicnn.inspect.table import LayerSummary, Summary

__all__ = [
    "ConvLayer",
    "LayerSummary",
    "Summary",
    "conv_cost",
    "conv_output_size",
    "conv_parameters",
    "pool_output_size",
    "summary",
    "total_conv_operations",
]
