"""The folder of a training run: what lies in it, and that nothing in it is lost unasked."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
from minicnn import backend
from minicnn.errors import DataError, OptionError
from minicnn.files import read_json
from minicnn.kernels.threads import ENVIRONMENT_VARIABLE, thread_count
from minicnn.training.crossvalidation import RESULT

try:
    import fcntl
except ImportError:  # not on this system
    fcntl = None  # type: ignore[assignment]

__all__ = ["EXPLANATIONS", "EXPLANATION_FILES", "RunFolder", "machine", "versions"]

# What was set of threads: ours, and those of BLAS libraries. They are only recorded.
THREAD_VARIABLES = (
    ENVIRONMENT_VARIABLE,
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)

LOCK = ".lock"
FOLD = re.compile(r"fold-\d+")
EXPLANATIONS = "explanations"
# What is written into the folder of the explanations; of it, nothing else may be replaced.
EXPLANATION_FILES = re.compile(
    r"explanations\.(json|png|safetensors)|(masked|curves|classes|filters)\.png"
    r"|(maps|ascent|top)-.+\.png"
)
FILES = (
    "report.html",
    RESULT,
    "history.csv",
    "weights.safetensors",
    "checkpoint.safetensors",
    "predictions.csv",
    "figures/history.png",
    "figures/confusion.png",
    "metrics.json",
    "config.json",
)


class RunFolder:
    """A folder with the files of one run.

    Parameters
    ----------
    path : str or os.PathLike
        It need not exist.

    Attributes
    ----------
    config, history, weights, checkpoint, metrics, predictions : Path
    report : Path
    figures, explanations : Path
        The folders of the figures and of the explanations.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.history = self.path / "history.csv"
        self.weights = self.path / "weights.safetensors"
        self.checkpoint = self.path / "checkpoint.safetensors"
        self.metrics = self.path / "metrics.json"
        self.predictions = self.path / "predictions.csv"
        self.report = self.path / "report.html"
        self.figures = self.path / "figures"
        self.explanations = self.path / EXPLANATIONS
        self._new, self._old = (self.path / f".{EXPLANATIONS}.{x}.tmp" for x in ("new", "old"))

    def __str__(self) -> str:
        return str(self.path)

    def files(self) -> list[Path]:
        """Return the files of a run that are there, those of its folds first."""
        in_folds = [file for path in self._folds() for file in RunFolder(path).files()]
        explained = sorted(
            path for path in self.explanations.glob("*") if EXPLANATION_FILES.fullmatch(path.name)
        )
        own = [path for name in FILES if (path := self.path / name).is_file()]
        return in_folds + explained + own

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Refuse a folder in which something would be lost, or in which nothing can be resumed.

        Raises
        ------
        OptionError
            It holds a run, and neither to resume nor to overwrite it was asked; or it holds none,
            and to resume it was.
        DataError
            It is no folder.
        """
        if self.path.exists() and not self.path.is_dir():
            raise DataError(f"{self}: is a file; choose another folder for --out")
        if resume:
            if not self.config.exists():
                if found := self.files():
                    raise OptionError(
                        f"{self}: holds {found[0].name}, but no {self.config.name} to go on by; "
                        "choose another --out, or begin anew with --overwrite"
                    )
                raise OptionError(
                    f"{self}: holds no run to resume; leave --resume out to begin one"
                )
            if self.weights.exists() and not (self.checkpoint.exists() or self._folds()):
                raise OptionError(
                    f"{self}: holds weights, but no {self.checkpoint.name} to go on from; choose "
                    "another --out, or begin anew with --overwrite"
                )
        elif not overwrite and (found := self.files()) and not self._is_unused(found):
            if not self.config.exists():
                raise OptionError(
                    f"{self}: holds a file {found[0].name}; add --overwrite to replace it, or "
                    "choose another --out"
                )
            what = "a finished run" if self.metrics.exists() else "an unfinished run"
            raise OptionError(
                f"{self}: holds {what}; add --resume to go on with it (--epochs to prolong it), "
                "--overwrite to replace it, or choose another --out"
            )

    def _folds(self) -> list[Path]:
        return sorted(path for path in self.path.glob("fold-*") if FOLD.fullmatch(path.name))

    def _is_unused(self, found: list[Path]) -> bool:
        # A run that ended before its first checkpoint left its configuration and nothing else.
        if found != [self.config]:
            return False
        with contextlib.suppress(DataError):
            self.stored()
            return True
        return False

    @contextlib.contextmanager
    def hold(self, *, figures: bool = True) -> Iterator[None]:
        """Make the folder, and keep other runs out of it until the end.

        The system lets go of the folder when the process ends, however it ends. Where it cannot
        lock files (Windows), runs are not kept apart.

        Parameters
        ----------
        figures : bool
            Make the folder of the figures as well.

        Raises
        ------
        OptionError
            Another run is writing into it.
        DataError
            It cannot be made.
        """
        self.make(figures=figures)
        lock = self.path / LOCK
        with open(lock, "a", encoding="utf-8") as file:
            if fcntl is not None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise OptionError(
                        f"{self}: another run is writing into it; wait for its end, or name "
                        "another folder"
                    ) from None
            try:
                self.tidy()  # not before: what another run is writing just now is none of ours
                yield
            finally:
                lock.unlink(missing_ok=True)

    def stored(self) -> dict[str, Any]:
        """Read the configuration of the run.

        Raises
        ------
        DataError
            It cannot be read, or is none.
        """
        return read_json(self.config, ({"options": dict, "data": dict}, {}))

    def make(self, *, figures: bool = True) -> None:
        """Make the folder.

        Parameters
        ----------
        figures : bool
            Make the folder of the figures as well.

        Raises
        ------
        DataError
            It cannot be made.
        """
        if figures and self.figures.exists() and not self.figures.is_dir():
            raise DataError(f"{self.figures}: is a file, not a folder; move it away")
        try:
            (self.figures if figures else self.path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"{self}: cannot be made ({error.strerror}); choose another --out"
            ) from None

    def tidy(self) -> None:
        """Remove what a write that was killed left; explanations that it had moved come back."""
        for name in FILES:
            place, _, file = name.rpartition("/")
            for rest in (self.path / place).glob(f".{file}.*.tmp"):
                rest.unlink(missing_ok=True)
        if self._old.exists() and not self.explanations.exists():
            self._old.rename(self.explanations)
        for rest in (self._new, self._old):
            shutil.rmtree(rest, ignore_errors=True)

    @contextlib.contextmanager
    def new_explanations(self) -> Iterator[Path]:
        """Give a folder that takes the explanations' place only once all is written into it.

        Whoever calls this holds the run folder, and with it what a killed process left is gone.
        """
        try:
            self._new.mkdir()
            yield self._new
            if self.explanations.exists():
                self.explanations.rename(self._old)
            self._new.rename(self.explanations)
        finally:
            self.tidy()

    def clear(self) -> None:
        """Remove the files of the run that is there, the configuration last, and nothing else."""
        files = self.files()
        for file in files:
            file.unlink()
        # The deepest first, and only folders in which nothing else lies.
        for folder in sorted({file.parent for file in files} | {self.figures}, reverse=True):
            for place in (folder, folder.parent):
                if place.is_relative_to(self.path) and place != self.path:
                    with contextlib.suppress(OSError):
                        place.rmdir()


def versions() -> dict[str, str]:
    """Return the versions of what the bits of a run depend on."""
    found = {
        "minicnn": minicnn.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    chosen = backend.current()
    if chosen.name != "numpy":
        found[chosen.name] = chosen.xp.__version__
    return found


def machine() -> dict[str, Any]:
    """Return what else they depend on: the machine, and the threads that were set."""
    return {
        "platform": platform.platform(),
        "byte_order": sys.byteorder,
        "cores": os.cpu_count(),
        "threads_used": thread_count(),
        "threads": {name: os.environ.get(name) for name in THREAD_VARIABLES},
    }
