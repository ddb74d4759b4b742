"""The page ``report.html``: what is found in a run folder, laid out for people to read."""

from minicnn.report.page.building import PAGE, build_experiment_report, build_report
from minicnn.report.page.pictures import require_pillow
from minicnn.report.page.render import require_jinja
from minicnn.report.page.results import Evaluated

__all__ = [
    "PAGE",
    "Evaluated",
    "build_experiment_report",
    "build_report",
    "require_jinja",
    "require_pillow",
]
