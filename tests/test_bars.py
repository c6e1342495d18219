import pytest

from tomolens.bars import bars


def run():
    with bars() as progress:
        for done in range(1, 31):
            progress("reading cases", done, 30, f"case {done}")
        progress("training", 1, 8, "validation accuracy 0.9")


def test_without_a_terminal_a_line_a_tenth(capsys):
    run()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 12
    assert lines[0] == "reading cases: 1 of 30 case 1"
    assert lines[-2] == "reading cases: 30 of 30 case 30"


@pytest.mark.parametrize(("width", "notes"), [("80", False), ("140", True)])
def test_on_a_terminal_every_stage_is_a_bar_that_fits(capsys, monkeypatch, width, notes):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", width)
    run()
    drawn = capsys.readouterr().err
    assert "30/30" in drawn
    assert "took" in drawn
    assert "left" in drawn
    assert ("validation accuracy" in drawn) == notes
