"""Reports: figures of runs, explanations, layers and comparisons; and all on one page."""

from minicnn.report.comparison import Curves, plot_curves, plot_effects
from minicnn.report.explained import Explanations
from minicnn.report.explanations import plot_explanations, plot_masked, plot_score_curves
from minicnn.report.features import (
    plot_ascent,
    plot_feature_maps,
    plot_filters,
    plot_top_faces,
)
from minicnn.report.figures import plot_confusion, plot_history, require_matplotlib
from minicnn.report.page import Evaluated, build_experiment_report, build_report
from minicnn.report.predictions import plot_predictions

__all__ = [
    "Curves",
    "Evaluated",
    "Explanations",
    "build_experiment_report",
    "build_report",
    "plot_ascent",
    "plot_confusion",
    "plot_curves",
    "plot_effects",
    "plot_explanations",
    "plot_feature_maps",
    "plot_filters",
    "plot_history",
    "plot_masked",
    "plot_predictions",
    "plot_score_curves",
    "plot_top_faces",
    "require_matplotlib",
]
