"""The backends command: what is there, what is chosen and why."""

from __future__ import annotations

import json

import pytest

from minicnn.commands import backends


@pytest.mark.host
def test_each_backend_is_told_with_the_remedy_of_what_is_missing(command):
    code, out, _ = command("backends")
    assert code == 0
    assert "numpy    ok" in out
    assert "cupy     not installed" in out
    assert 'to use cupy: install it with: pip install "minicnn[cupy]"' in out
    assert "chosen unless --backend says otherwise: numpy (the default)" in out
    assert "threads: " in out


@pytest.mark.host
def test_json_holds_the_same(command, monkeypatch):
    monkeypatch.setenv("MINICNN_BACKEND", "auto")
    content = json.loads(command("backends", "--json")[1])
    assert content["backends"]["numpy"]["status"] == "ok"
    assert content["chosen"] == "numpy"
    assert content["reason"].startswith("auto: CuPy is not installed")
    assert content["machine"]["threads_used"] >= 1


@pytest.mark.host
def test_a_backend_that_cannot_be_chosen_is_an_error(refused, monkeypatch):
    monkeypatch.setenv("MINICNN_BACKEND", "cupy")
    assert "cupy (set by MINICNN_BACKEND): not installed" in refused("backends")


@pytest.mark.standin
def test_on_a_machine_with_a_device_nothing_is_missing(capsys):
    assert backends.main([]) == 0
    out = capsys.readouterr().out
    assert "cupy     ok" in out
    assert "to use" not in out
