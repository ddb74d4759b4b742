"""Train a network with and without normalisation and augmentation, and tell what each does."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import product
from typing import Any

from minicnn import zoo
from minicnn.commands.arguments import whole
from minicnn.commands.effects import Effect, effects_of
from minicnn.commands.experiment_plan import Plan, experiment_main, experiment_parser
from minicnn.commands.experiments import Finished, train_all, write_reports, write_table
from minicnn.commands.tables import text_table
from minicnn.commands.train_options import (
    AUGMENTATIONS,
    DEFAULTS_OF_MODEL,
    NORMALIZATIONS,
    Options,
)
from minicnn.errors import OptionError
from minicnn.files import write_json
from minicnn.report.comparison import Curves, plot_curves, plot_effects
from minicnn.report.page.runs import run_title

__all__ = ["main"]

KIND = "ablation"
RESULTS = (
    "ablation.json",
    "ablation.csv",
    "effects.csv",
    "figures/ablation.png",
    "figures/effects.png",
    "report.html",
)
DEFAULTS: dict[str, Any] = {
    "model": "deep_vgg",
    "normalizations": ["none", "pixel"],
    "augmentations": ["none", "strong"],
    "repeats": 1,
}


def main(arguments: Sequence[str] | None = None, *, program: str = KIND) -> int:
    """Run the ablation that a command line asks for; return the exit code: 0, 2 or 130."""
    return experiment_main(
        KIND,
        _parser(program),
        arguments,
        _ablate,
        defaults=DEFAULTS,
        folder=lambda settings: f"runs/ablation-{settings['model']}",
    )


def _ablate(plan: Plan) -> None:
    settings = plan.settings
    if max(len(settings["normalizations"]), len(settings["augmentations"])) < 2:
        raise OptionError(
            "an ablation compares: give --normalizations or --augmentations two values or more"
        )
    same: dict[str, Any] = {}
    if "pixel" in settings["normalizations"] and "grow_from" not in plan.given:
        same = {"grow_from": None}
        if DEFAULTS_OF_MODEL.get(settings["model"], {}).get("grow_from") and plan.given.get("data"):
            plan.say(
                f"note: images keep their size in all runs, though those of {settings['model']} "
                "would grow: statistics of each pixel are of one size"
            )
    first = plan.given.get("seed", Options.seed)
    seeds = range(first, first + settings["repeats"])
    runs = {}
    for normalize, augment, seed in product(
        settings["normalizations"], settings["augmentations"], seeds
    ):
        name = f"normalize-{normalize}_augment-{augment}"
        name += f"_seed-{seed}" if len(seeds) > 1 else ""
        runs[name] = {
            "model": settings["model"], "normalize": normalize, "augment": augment, "seed": seed,
            **same,
        }  # fmt: skip
    finished = train_all(plan, runs, RESULTS)
    effects = effects_of(
        [run.row for run in finished],
        settings["normalizations"],
        settings["augmentations"],
        real=finished[0].options.data is not None,
    )
    rows = [{**asdict(each), "sign": each.sign, "clear": each.clear} for each in effects]
    write_table(plan.out / "ablation.csv", [run.row for run in finished])
    write_table(plan.out / "effects.csv", rows)
    _draw(plan, finished, effects)
    content = {**settings, "runs": [run.row for run in finished], "effects": rows}
    write_json(plan.out / "ablation.json", content)
    plan.say(_text(finished, effects))
    plan.say(f"everything is in {plan.out}")
    write_reports(plan, finished)


def _draw(plan: Plan, finished: Sequence[Finished], effects: Sequence[Effect]) -> None:
    folder = plan.out / "figures"
    folder.mkdir(exist_ok=True)
    drawn = "" if finished[0].options.data is not None else ", on drawn faces"
    plot_curves(
        [Curves(run_title(run.name), run.history, run.row["best_epoch"]) for run in finished],
        folder / "ablation.png",
        title=f"{plan.settings['model']}: normalisation and augmentation{drawn}",
    )
    plot_effects(
        [effect.name for effect in effects],
        [effect.accuracy for effect in effects],
        [effect.standard_error for effect in effects],
        folder / "effects.png",
        reported=[effect.reported for effect in effects],
        title=f"{plan.settings['model']}: effect on the validation accuracy{drawn}",
    )


def _text(finished: Sequence[Finished], effects: Sequence[Effect]) -> str:
    runs = [
        (
            *(run.row[name] for name in ("normalize", "augment", "seed")),
            *(f"{run.row[name]:.4f}" for name in ("accuracy", "macro_f1", "train_accuracy")),
            run.row["best_epoch"],
        )
        for run in finished
    ]
    changes = [
        (
            effect.name,
            effect.sign,
            "yes" if effect.clear else "no",
            f"{effect.accuracy:+.4f}",
            f"{effect.standard_error:.4f}",
            f"{effect.macro_f1:+.4f}",
            None if effect.reported is None else f"{effect.reported:+.4f}",
        )
        for effect in effects
    ]
    columns = ("normalize", "augment", "seed", "validation accuracy", "macro F1",
               "training accuracy", "best epoch")  # fmt: skip
    header = ("effect", "sign", "clear", "accuracy", "standard error", "macro F1", "reported")
    return "\n".join(
        [
            "",
            text_table(columns, runs, left=2),
            "",
            text_table(header, changes, left=3),
            "",
            "clear: above two standard errors, which come from counting the validation images; "
            "another seed may move more",
        ]
    )


def _several(choices: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a converter of texts such as "none,pixel" to two or more of the choices, or one."""

    def convert(text: str) -> list[str]:
        values = text.split(",")
        if len(set(values)) != len(values) or not set(values) <= set(choices):
            raise argparse.ArgumentTypeError(
                f"expected different ones of {', '.join(choices)} with commas between, got {text!r}"
            )
        return values

    return convert


def _parser(program: str) -> Any:
    parser = experiment_parser(
        program,
        "Train a network for each combination of normalisation and augmentation, a run folder for "
        "each, and tell the effect of each: ablation.json, ablation.csv, effects.csv and figures.",
        (
            "--data fer2013.csv.gz --epochs 20 --out runs/ablation",
            "--model avgpool_cnn --augmentations none,flip,mild --repeats 3",
        ),
        omit=("--model", "--normalize", "--augment", "--no-augment"),
    )
    add = parser.add_argument_group("ablation").add_argument
    add(
        "--model",
        choices=zoo.names(),
        metavar="NAME",
        help=f"one of {', '.join(zoo.names())} ({DEFAULTS['model']})",
    )
    for name, choices in (
        ("normalizations", NORMALIZATIONS),
        ("augmentations", tuple(AUGMENTATIONS)),
    ):
        add(
            f"--{name}",
            type=_several(choices),
            metavar="A,B,...",
            help=f"some of {', '.join(choices)}; the first is what the others are compared with "
            f"({','.join(DEFAULTS[name])})",
        )
    add("--repeats", type=whole(1), metavar="N", help="train each with N seeds, from --seed on (1)")
    return parser
