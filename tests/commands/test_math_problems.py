"""The worked-out problem sheets: every published figure, and faults that must be seen."""

from __future__ import annotations

import re

import numpy as np
import pytest

from minicnn.autograd import Cost
from minicnn.commands import batch_norm_problem, math_problems, problem_sheet_1, problem_sheet_2
from minicnn.commands.workings import Workings, gradients, quotient

pytestmark = pytest.mark.host


def test_all_results_agree_and_stand_beside_the_published_ones(command):
    code, out, error = command("math_problems")
    assert (code, error) == (0, "")
    good, count = map(int, re.search(r"(\d+) of (\d+) results agree\.", out).groups())
    assert good == count >= 60
    assert "DISAGREES" not in out
    for line in (
        "- parameters of layer 1: 126 (published: 126): agrees",
        "- parameters of layer 2: 100 (published: 100): agrees",
        "- multiplications of layer 1: 1,080 (published: 1,080): agrees",
        "- additions of layer 1: 1,026 (published: 1,026): agrees",
        "- multiplications of layer 2: 96 (published: 96): agrees",
        "- additions of layer 2: 92 (published: 92): agrees",
        "(published: (0.6166, 0.5888, 0.5226)): agrees",
        "(published: (0.6782, -0.7344, 0.0273)): agrees",
        "- projections of point 1: (7.18658682, 1.37323947) (published: (7.18658682, 1.37323947))",
        "- projections of point 10: (-5.75249521, 0.97648096)",
        "(published: 5.472): agrees",
    ):
        assert line in out
    assert len(re.findall(r"- projections of point \d+: .*: agrees", out)) == 10


def test_every_intermediate_gradient_of_the_sheet_is_derived_and_checked_twice(command):
    _, out, _ = command("math_problems")
    for name in ("n", "sigma^2", "mu", "x", "gamma", "beta"):
        assert f"### dL/d{name}\n" in out
        for how in ("autograd", "difference quotients"):
            assert re.search(
                rf"- dL/d{re.escape(name)} by {how}: .*difference [\d.e+-]+: agrees", out
            )
    assert (
        "dL/dz_j = sum_i (-y_i / p_i) p_i ([i = j] - p_j) = -y_j + p_j sum_i y_i = p_j - y_j"
        in (out)
    )
    for step in ("dL/dp", "dp/dz", "dL/dz"):
        assert len(re.findall(rf"- {step}, .* by autograd: .*: agrees", out)) == 2


@pytest.mark.parametrize("seed", ["1", "2", "3"])  # 3 has a small probability
def test_other_numbers_agree_as_well(seed, command):
    assert command("math_problems", "--seed", seed)[0] == 0


def test_the_text_can_be_written_as_markdown_and_is_not_overwritten(tmp_path, command, refused):
    path = tmp_path / "sheets.md"
    code, out, _ = command("math_problems", "--output", path)
    assert code == 0
    assert re.fullmatch(rf"(\d+) of \1 results agree; wrote {re.escape(str(path))}\n", out)
    assert path.read_text() == command("math_problems")[1]
    assert path.read_text().startswith("# Two problem sheets")
    path.write_text("mine")
    assert "is there already" in refused("math_problems", "--output", path)
    assert path.read_text() == "mine"
    assert command("math_problems", "--output", path, "--overwrite")[0] == 0


def wrong_cost(*arguments, **options):
    return Cost(multiplications=1080, additions=1027)


@pytest.mark.parametrize(
    ("module", "name", "wrong", "seen"),
    [
        (problem_sheet_1, "conv_cost", wrong_cost, "additions of layer 1"),
        (problem_sheet_1, "conv_parameters", lambda *_: 127, "parameters of layer 2"),
        (problem_sheet_1, "total_conv_operations", lambda *_: 2293, "total_conv_operations"),
        (problem_sheet_1, "PUBLISHED_ERROR", 5.473, "mean squared reconstruction error"),
        (problem_sheet_1, "PUBLISHED_AXES", ((0.6166, 0.5888, 0.5226), (0.6782, 0.7344, 0.0273)),
         "axis 2"),
        (problem_sheet_2, "conv_output_size", lambda size, *_: size, "conv_output_size"),
        (problem_sheet_2, "cross_entropy", lambda z, y: (z * z).sum(), "dL/dz, one class is true"),
    ],
)  # fmt: skip
def test_a_planted_fault_is_seen_and_the_exit_code_says_so(
    module, name, wrong, seen, command, monkeypatch
):
    monkeypatch.setattr(module, name, wrong)
    code, out, _ = command("math_problems")
    assert code == math_problems.DISAGREES == 1
    closing = out[out.index("## Sum") :]
    assert "**These do not: " in closing
    assert seen in closing
    assert "**DISAGREES**" in out


@pytest.mark.parametrize("name", ["n", "sigma^2", "mu", "x", "gamma", "beta"])
@pytest.mark.parametrize("wrong", ["value", "by_quotient"])
def test_a_fault_in_any_step_of_batch_norm_is_seen(name, wrong, monkeypatch):
    steps_of = batch_norm_problem.steps_of

    def with_fault(*given):
        return [
            step._replace(**{wrong: getattr(step, wrong) * 1.0001}) if step.name == name else step
            for step in steps_of(*given)
        ]

    monkeypatch.setattr(batch_norm_problem, "steps_of", with_fault)
    work = Workings()
    batch_norm_problem.batch_norm_gradients(work, seed=0)
    assert any(failure.startswith(f"dL/d{name} by") for failure in work.failures)


@pytest.mark.parametrize(
    ("found", "expected", "tolerance", "agrees"),
    [
        (3, 3, 0, True),
        (3, 4, 0, False),
        (0.5, 0.5004, 5e-4, True),
        (0.5, 0.5006, 5e-4, False),
        ((1, 2), (1, 2, 3), 9, False),
        (np.nan, np.nan, 9, False),
        ([1.0, np.inf], [1.0, 1.0], 9, False),
    ],
)
def test_results_agree_within_the_tolerance_and_nan_never_does(found, expected, tolerance, agrees):
    work = Workings()
    work.result("it", found, expected, tolerance=tolerance)
    assert (work.failures == []) is agrees
    assert work.checks == 1


def test_quotients_and_gradients_are_those_of_a_known_function():
    import minicnn

    at = np.array([[0.5, -2.0], [1.0, 3.0]])
    np.testing.assert_allclose(quotient(lambda x: float((x**3).sum()), at), 3 * at**2, rtol=1e-8)
    x = minicnn.tensor(at, requires_grad=True)
    (found,) = gradients((x**3).sum(), [x])
    np.testing.assert_allclose(found, 3 * at**2)
