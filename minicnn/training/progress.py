"""Show how the training goes: a bar on a terminal, and a line for each epoch everywhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from tqdm import tqdm

from minicnn.training.callbacks import Callback

if TYPE_CHECKING:
    from minicnn.training.trainer import Trainer

__all__ = ["Progress", "epoch_line"]

REFRESH = 0.5  # seconds between two reads of the loss, each of which waits for a GPU


class Progress(Callback):
    """Prints a line for each epoch; on a terminal a bar shows the batches meanwhile.

    Parameters
    ----------
    stream : file, optional
        Standard output by default.
    bar : bool, optional
        Whether to show the bar; by default, if the stream is a terminal: a bar fills a log file
        with its repaints.
    """

    def __init__(self, stream: TextIO | None = None, *, bar: bool | None = None) -> None:
        self.stream: TextIO = sys.stdout if stream is None else stream
        self.bar = self.stream.isatty() if bar is None else bar
        self._bar: Any = None
        self._shown = 0.0

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Open the bar."""
        if self.bar:
            self._bar = tqdm(
                desc=f"epoch {trainer.epoch + 1}/{trainer.epochs}",
                total=len(trainer.train_loader),
                initial=trainer.batch,
                unit="batch",
                leave=False,
                dynamic_ncols=True,
                file=self.stream,
            )
            self._shown = time.monotonic()

    def on_batch_end(self, trainer: Trainer) -> None:
        """Move the bar on."""
        if self._bar is None:
            return
        self._bar.update()
        if time.monotonic() - self._shown >= REFRESH:
            scores = trainer.metrics.result()
            self._bar.set_postfix_str(f"loss {scores.loss:.4f}, accuracy {scores.accuracy:.1%}")
            self._shown = time.monotonic()

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Print the epoch's line in the place of the bar."""
        self._close()
        print(epoch_line(trainer.history[-1], trainer.epochs), file=self.stream, flush=True)

    def on_interrupt(self, trainer: Trainer) -> None:
        """Close the bar."""
        self._close()

    def on_fit_end(self, trainer: Trainer) -> None:
        """Close the bar, if an error left it open."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def epoch_line(row: dict[str, Any], epochs: int) -> str:
    """Return a row of the history as a line to read."""
    parts = [
        f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}",
        f"loss {row['train_loss']:.4f}, accuracy {row['train_accuracy']:.1%}",
    ]
    if row["validation_loss"] is not None:
        parts.append(
            f"validation loss {row['validation_loss']:.4f}, "
            f"accuracy {row['validation_accuracy']:.1%}"
        )
    parts.append(f"learning rate {row['learning_rate']:.3g}")
    parts.append(f"{row['seconds']:.1f} s, {row['images_per_second']:,.0f} images/s")
    return " | ".join(parts)
