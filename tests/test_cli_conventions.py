"""What scripts and shells expect of a command: version, help, quiet, JSON, exit codes, pipes."""

import json
import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from quick_study import quick_study
from tomolens import api
from tomolens.cli import app
from tomolens.study.settings import StudySettings

RUN = (sys.executable, "-m", "tomolens")


def run(*arguments, **environment):
    return subprocess.run(
        [*RUN, *arguments], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


@pytest.fixture
def invoke(monkeypatch):
    """The command on a quick study."""

    def call(*arguments, study=None):
        chosen = study or quick_study()
        monkeypatch.setattr(api.Study, "from_toml", classmethod(lambda cls, *_, **__: chosen))
        monkeypatch.setattr(api.Study, "of", classmethod(lambda cls, *_, **__: chosen))
        return CliRunner().invoke(app, [str(one) for one in arguments])

    return call


def test_the_version_by_module():
    ended = run("--version")
    assert ended.returncode == 0
    assert re.fullmatch(r"tomolens \d+\.\d+\.\d+\S*\n", ended.stdout)


@pytest.mark.parametrize("command", [[], ["study"], ["train"], ["report"], ["cases"], ["cases", "index"]])
def test_h_is_help(command):
    short, long = (CliRunner().invoke(app, [*command, word]) for word in ("-h", "--help"))
    assert short.exit_code == 0
    assert "Usage" in short.output
    assert short.output == long.output


def test_shells_complete():
    ended = run(_TOMOLENS_COMPLETE="complete_bash", COMP_WORDS="tomolens st", COMP_CWORD="1")
    assert "study" in (ended.stdout + ended.stderr).split()
    assert "--install-completion" in CliRunner().invoke(app, ["--help"]).output


def test_quiet_says_nothing_and_json_says_all_on_one_line(invoke, tmp_path):
    out = tmp_path / "r"
    done = invoke("study", "--out", out, "--workers", 1, "--quiet", "--json")
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    said = json.loads(line)
    assert said["folder"] == str(out)
    assert (said["cases"], said["failures"]) == (12, {})
    assert str(out / "tables" / "fidelity.csv") in said["tables"]
    assert any("maps are tied by fidelity" in sentence for sentence in said["headline"])
    again = invoke("report", out, "--quiet")
    assert (again.exit_code, again.stdout, again.stderr) == (0, "", "")
    whole = invoke("report", out, "--json")
    assert "report: " in whole.stdout
    assert json.loads(whole.stdout.splitlines()[-1]) == said
    tables = invoke("report", out, "--format", "latex", "--quiet", "--json")
    assert json.loads(tables.stdout)["files"] == [str(out / "tables" / "findings.tex")]
    checked = invoke("study", "--verify", out, "--quiet", "--json")
    assert json.loads(checked.stdout)["same"] is True


def test_json_tells_failures_and_errors(invoke, tmp_path):
    done = invoke("study", "--out", tmp_path / "r", "-q", "--json", study=quick_study("raises", marked=(3,)))
    assert done.exit_code == 3
    assert list(json.loads(done.stdout)["failures"]) == ["case-3"]
    wrong = invoke("report", tmp_path / "nowhere", "--json")
    assert wrong.exit_code == 2
    said = json.loads(wrong.stdout)
    assert said["exit"] == 2
    assert wrong.stderr == f"tomolens: {said['error']}\n"


def test_a_dry_run_as_json(invoke):
    said = json.loads(invoke("study", "--dry-run", "--json", "--quiet").stdout)
    assert said["cases"] == 12
    assert said["seconds"]


def test_train_as_json(invoke, tmp_path):
    study = api.Study(
        StudySettings.model_validate(
            {
                "name": "x",
                "cases": {"source": "phantom", "size": 32, "train": 12},
                "classifier": {"recipe": {"architecture": "resnet18", "epochs": 1, "batch_size": 8}},
            }
        )
    )
    done = invoke("train", "--out", tmp_path / "n.safetensors", "--quiet", "--json", study=study)
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    assert json.loads(done.stdout)["weights"] == str(tmp_path / "n.safetensors")


def test_errors_hold_nothing_that_a_terminal_obeys(tmp_path):
    ended = run("report", str(tmp_path / "a\x1b[31mb"))
    assert ended.returncode == 2
    assert "\x1b" not in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_no_colour_where_none_is_wanted_and_pipes_that_close():
    ended = run("study", "--nonsense", NO_COLOR="1", FORCE_COLOR="")
    assert ended.returncode == 2
    assert "\x1b" not in ended.stderr
    piped = run("estimators")
    assert "\x1b" not in piped.stdout
    process = subprocess.Popen([*RUN, "estimators"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.wait()


def test_the_readme_has_every_exit_code(request):
    text = (request.config.rootpath / "README.md").read_text()
    codes = re.findall(r"^\| ([\d, ]+) \|", text[text.index("| exit code |") :], flags=re.MULTILINE)
    assert codes[:5] == ["0", "1", "2", "3", "130, 143"]
