"""Workings: calculations written down step by step, each result beside what it should be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn.autograd import Tensor, grad

__all__ = ["EXACT", "Workings", "gradients", "quotient"]

STEP = 1e-6  # of difference quotients
EXACT, QUOTIENT = 1e-10, 1e-7  # how near to a formula autograd and difference quotients come


class Workings:
    """Collects text, formulas and checked results as Markdown.

    Attributes
    ----------
    lines : list of str
    checks : int
        How many results were compared.
    failures : list of str
        What disagreed.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.checks = 0
        self.failures: list[str] = []

    def heading(self, text: str, level: int = 2) -> None:
        """Begin a section."""
        self.lines += ["", "#" * level + " " + text, ""]

    def say(self, *sentences: str) -> None:
        """Add a paragraph."""
        self.lines += [" ".join(sentences), ""]

    def show(self, *lines: str) -> None:
        """Add lines as they are: formulas, numbers in columns."""
        self.lines += [*(f"    {line}" for line in lines), ""]

    def numbers(self, name: str, values: Any) -> None:
        """Show an array of numbers under its name, a row a line."""
        rows = np.atleast_2d(np.asarray(values, np.float64)) + 0.0  # no -0
        texts = ["  ".join(f"{value:12.8f}" for value in row) for row in rows]
        self.show(*(f"{name if not i else '':<12} {text}" for i, text in enumerate(texts)))

    def result(
        self,
        name: str,
        found: Any,
        expected: Any,
        *,
        beside: str = "published",
        tolerance: float = 0.0,
        shown: str | None = None,
    ) -> None:
        """Put a result beside what it should be.

        Parameters
        ----------
        name : str
        found, expected : number or array
        beside : str
            Where the expected value comes from.
        tolerance : float
            The largest absolute difference that agrees; 0 for integers.
        shown : str, optional
            Instead of the numbers, where there are many of them.
        """
        left, right = (np.asarray(value, np.float64) for value in (found, expected))
        same_shape = left.shape == right.shape
        # Not "difference > tolerance": a NaN must not agree.
        difference = float(np.abs(left - right).max()) if same_shape else np.inf
        agrees = difference <= tolerance
        self.checks += 1
        if not agrees:
            self.failures.append(name)
        if shown is None:
            shown = f"{_text(found)} ({beside}: {_text(expected)})"
        elif same_shape:
            shown = f"{shown}, largest difference {difference:.1e}"
        self.lines.append(f"- {name}: {shown}: {'agrees' if agrees else '**DISAGREES**'}")

    def gradient(
        self, name: str, formula: np.ndarray, autograd: np.ndarray, quotients: np.ndarray
    ) -> None:
        """Put a gradient by its formula beside autograd's and the difference quotients'."""
        for found, how, tolerance in (
            (autograd, "autograd", EXACT),
            (quotients, "difference quotients", QUOTIENT),
        ):
            shown = "beside the formula"
            self.result(f"{name} by {how}", found, formula, tolerance=tolerance, shown=shown)
        self.end()

    def end(self) -> None:
        """Close a list of results."""
        self.lines.append("")

    def text(self) -> str:
        """Return everything as Markdown, with the sum of the checks at the end."""
        self.heading("Sum")
        good = self.checks - len(self.failures)
        self.say(f"{good} of {self.checks} results agree.")
        if self.failures:
            self.say(f"**These do not: {'; '.join(self.failures)}.**")
        lines, blank = [], True
        for line in self.lines:  # never two blank lines in a row
            if line or not blank:
                lines.append(line)
            blank = not line
        return "\n".join(lines).rstrip() + "\n"


def _text(value: Any) -> str:
    array = np.asarray(value)
    if array.ndim:
        return "(" + ", ".join(_text(each) for each in array) + ")"
    if array.dtype.kind in "ui":
        return f"{int(array):,}"
    return f"{float(array):.8f}".rstrip("0").rstrip(".")


def gradients(output: Tensor, inputs: Sequence[Tensor]) -> list[np.ndarray]:
    """Return the gradients of a scalar by autograd, as NumPy arrays; all inputs must count."""
    return [found.numpy() for found in grad(output, list(inputs)) if found is not None]


def quotient(function: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
    """Return a function's gradient at a place, by differences in each number.

    The quotients of a step and of a double one, together, leave an error of the step's fourth power
    (Richardson); that of one alone was too large for the logarithm of a small probability.
    """

    def difference(index: tuple[int, ...], step: float) -> float:
        there, back = at.copy(), at.copy()
        there[index] += step
        back[index] -= step
        return (function(there) - function(back)) / (2 * step)

    gradient = np.empty_like(at)
    for index in np.ndindex(at.shape):
        gradient[index] = (4 * difference(index, STEP) - difference(index, 2 * STEP)) / 3
    return gradient
