"""Effects of two options: from runs whose accuracies were set."""

from __future__ import annotations

import pytest

from minicnn.commands.effects import effects_of

pytestmark = pytest.mark.host

ACCURACIES = {
    ("none", "none"): 0.50,
    ("pixel", "none"): 0.53,
    ("none", "strong"): 0.60,
    ("pixel", "strong"): 0.59,
}


def rows(accuracies=ACCURACIES, *, model="deep_vgg", seeds=(0,), shift=0.0):
    return [
        {
            "model": model,
            "normalize": normalize,
            "augment": augment,
            "seed": seed,
            "accuracy": accuracy + shift * seed * (normalize == "pixel"),
            "standard_error": 0.003,
            "macro_f1": accuracy - 0.1,
        }
        for (normalize, augment), accuracy in accuracies.items()
        for seed in seeds
    ]


def found(*arguments, **options):
    return {(x.factor, x.level, x.where): x for x in effects_of(*arguments, **options)}


def test_each_effect_is_what_changes_with_the_option_alone():
    effects = found(rows(), ["none", "pixel"], ["none", "strong"])
    expected = {
        ("normalize", "pixel", "none"): 0.03,
        ("normalize", "pixel", "strong"): -0.01,
        ("normalize", "pixel", "all"): 0.01,
        ("augment", "strong", "none"): 0.10,
        ("augment", "strong", "pixel"): 0.06,
        ("augment", "strong", "all"): 0.08,
    }
    assert {key: each.accuracy for key, each in effects.items()} == pytest.approx(expected)
    assert {key: each.macro_f1 for key, each in effects.items()} == pytest.approx(expected)
    signs = [effect.sign for effect in effects.values()]
    assert signs == ["+", "-", "+", "+", "+", "+"]
    assert effects["normalize", "pixel", "none"].standard_error == pytest.approx(0.003 * 2**0.5)
    assert effects["normalize", "pixel", "all"].standard_error == pytest.approx(0.003)
    assert [effect.clear for effect in effects.values()] == [True, True, True, True, True, True]


def test_within_two_standard_errors_an_effect_is_not_clear():
    accuracies = {**ACCURACIES, ("pixel", "none"): 0.508}
    effects = found(rows(accuracies), ["none", "pixel"], ["none", "strong"])
    assert not effects["normalize", "pixel", "none"].clear
    assert effects["normalize", "pixel", "none"].sign == "+"
    same = found(rows(dict.fromkeys(ACCURACIES, 0.5)), ["none", "pixel"], ["none", "strong"])
    assert {effect.sign for effect in same.values()} == {"0"}


def test_repeats_are_averaged_seed_by_seed():
    effects = found(rows(seeds=(0, 1, 2), shift=0.01), ["none", "pixel"], ["none", "strong"])
    assert effects["normalize", "pixel", "none"].accuracy == pytest.approx(0.03 + 0.01)
    spread = effects["normalize", "pixel", "none"].standard_error
    assert spread == pytest.approx(0.003 * (2 / 3) ** 0.5)


def test_more_values_are_all_compared_with_the_first():
    accuracies = {("none", a): x for a, x in (("mild", 0.5), ("none", 0.4), ("flip", 0.45))}
    effects = found(rows(accuracies), ["none"], ["mild", "none", "flip"])
    assert {key: each.accuracy for key, each in effects.items()} == pytest.approx(
        {("augment", "none", "none"): -0.1, ("augment", "flip", "none"): -0.05}
    )


def test_what_system_a_reports_stands_beside_its_own_effects_on_real_faces_only():
    levels = (["none", "pixel"], ["none", "strong"])
    effects = found(rows(), *levels, real=True)
    reported = {key: x.reported for key, x in effects.items() if x.reported is not None}
    assert reported == pytest.approx(
        {("normalize", "pixel", "none"): 0.0039, ("augment", "strong", "none"): 0.0390}
    )
    for other in (found(rows(), *levels), found(rows(model="small_cnn"), *levels, real=True)):
        assert all(effect.reported is None for effect in other.values())
