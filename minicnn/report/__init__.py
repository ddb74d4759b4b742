"""Figures of a training run."""

from minicnn.report.figures import plot_confusion, plot_history, require_matplotlib

__all__ = [
    "plot_confusion",
    "plot_history",
    "require_matplotlib",
]
