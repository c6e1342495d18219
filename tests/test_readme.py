"""What the README says to type can be typed."""

import re
import shlex
import tomllib

import numpy as np
import pytest
import torch
import typer

from conftest import convolutional
from tomolens.cli import app
from tomolens.study.settings import settings_from

USAGE_ERROR = 2
SHELL = ("|", "||", "&&", "&", ";", ">", ">>", "<", "2>")
"""Words that end a command."""


def blocks(text):
    """Language and content of every code block."""
    return re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def commands(text):
    """The arguments of every `tomolens ...` command, and whether a sentence has it rather than a code block."""
    found = [(shlex.split(line), True) for line in re.findall(r"`tomolens ([^`]+)`", text)]
    for language, block in blocks(text):
        for line in block.replace("\\\n", " ").splitlines() if language != "python" else ():
            words = shlex.split(line, comments=True)
            words = words[words.index("--") + 1 :] if "--" in words else words  # kubectl exec ... -- tomolens ...
            while words and re.match(r"[A-Z_]+=", words[0]):
                words = words[1:]
            if words[:1] == ["tomolens"]:
                ends = [place for place, word in enumerate(words) if word in SHELL]
                found.append((words[1 : min(ends, default=len(words))], False))
    return found


def parse(command, arguments, named=False, name="tomolens", parent=None):
    """The names of the commands that take these arguments; nothing is run. Sentences may name one without any."""
    is_group = hasattr(command, "resolve_command")
    if parent is not None and not arguments and (is_group or named):
        return [name]
    for option in command.params:
        option.callback = None  # some act as soon as they are parsed: --install-completion writes into the home folder
    context = command.make_context(name, list(arguments), parent=parent)
    if not is_group:
        return [name]
    found, inner, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    return [name, *parse(inner, rest, named, found, context)]


def check(arguments, named=False):
    """Parse one command line; options that are all of it, such as ``--version``, need no command."""
    command = typer.main.get_command(app)
    alone = {name for option in command.params for name in option.opts}
    if set(arguments) <= alone and arguments:
        return ["tomolens"]
    return parse(command, arguments, named)


def documents(root):
    files = (root / "README.md", *sorted((root / "docs").glob("*.md")))
    return {file: file.read_text(encoding="utf-8") for file in files}


def items(count=8):
    """A dataset of squares, two to a patient."""
    random = np.random.default_rng(0)
    masks = np.zeros((count, 16, 16), bool)
    masks[:, 3:8, 4:9] = True
    images = random.random((count, 1, 16, 16), dtype=np.float32)
    return [
        {"image": image, "mask": mask, "label": number // 2 % 2, "patient": f"p{number // 2}"}
        for number, (image, mask) in enumerate(zip(images, masks, strict=True))
    ]


def test_the_python_of_the_readme_runs(request, capsys, tmp_path, monkeypatch):
    text = (request.config.rootpath / "README.md").read_text()
    own, given, extending = (block for language, block in blocks(text) if language == "python")
    names = {"network": convolutional(), "dataset": items()}
    with torch.no_grad():
        names["network"][-1].bias += 2.0  # beyond 1, as logits are
    exec(own, names)
    assert len(capsys.readouterr().out.split()) == 3
    monkeypatch.chdir(tmp_path)
    exec(given, names)
    assert capsys.readouterr().out.strip()
    assert isinstance(names["smooth"], np.ndarray)
    assert (tmp_path / "results" / "report.html").exists()
    exec(extending, names)
    assert capsys.readouterr().out == "dict_keys(['gradient-x-input', 'smoothgrad'])\n"


def test_every_module_of_the_map_of_the_code_exists(request):
    root = request.config.rootpath
    _, found, rest = (root / "README.md").read_text().partition("| the protocol says | it is done in |")
    assert found
    rows = [line for line in rest.partition("\n\n")[0].splitlines() if line.startswith("| ") and "`" in line]
    assert len(rows) > 20
    for row in rows:
        for path in re.findall(r"`([\w/]+(?:/|\.py))`", row):
            assert (root / "src" / "tomolens" / path).exists(), path


def test_every_target_and_file_of_the_readme_exists(request):
    root = request.config.rootpath
    text, makefile = (root / "README.md").read_text(), (root / "Makefile").read_text()
    targets = set(re.findall(r"^make ([\w-]+)", text, flags=re.MULTILINE)) | set(re.findall(r"`make ([\w-]+)`", text))
    assert {"study", "test"} <= targets
    for target in targets:
        assert f"\n{target}:" in makefile, target
    for file in set(re.findall(r"(?:studies|tests|docs|benchmarks)/[\w-]+\.\w+", text)):
        assert (root / file).is_file(), file


def test_every_command_of_the_readme_is_parsed(request):
    known = set()
    for file, text in documents(request.config.rootpath).items():
        for arguments, named in commands(text):
            try:
                known.add(tuple(check(arguments, named)[1:]))
            except Exception as error:  # of typer, which wraps another's errors
                pytest.fail(f"{file.name}: tomolens {shlex.join(arguments)}: {getattr(error, 'message', error)!s}")
    assert {("study",), ("train",), ("report",), ("estimators",), ("cases", "index"), ("cases", "download")} <= known


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("study studies/paper.toml --worker 8", "--worker"),
        ("study --executor slurm", "slurm"),
        ("study --workers many", "integer"),
        ("studies", "studies"),
        ("cases index folder scans/ --class without,with", "--class"),
        ("train study.toml --cases cases.csv surplus", "surplus"),
    ],
)
def test_a_wrong_command_would_be_found(line, word):
    with pytest.raises(Exception, match=word) as raised:
        check(shlex.split(line))
    assert raised.value.exit_code == USAGE_ERROR


def test_parsing_does_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    for arguments in (["--install-completion"], ["--version"], ["--install-completion", "estimators"], ["estimators"]):
        check(arguments)
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().out == ""


def test_the_study_file_is_described_whole(request):
    """Every setting is there with its default; those that stand behind a # have none."""
    text = (request.config.rootpath / "docs" / "study-file.md").read_text()
    (_, block), *others = blocks(text)
    for _, other in others:
        assert settings_from({"name": "x", "cases": {"source": "phantom"}} | tomllib.loads(other), "docs").plan
    written, default = (
        settings_from(content, "docs").model_dump()
        for content in (
            tomllib.loads(block),
            {"name": "my-study", "classifier": {"pretraining": {}}, "repeat": {}, "vary": {}},
        )
    )
    assert written.pop("estimators") | {"parameters": {}} == default.pop("estimators")
    assert written == default
    assert 'set = "paper"' in text
    for section, keys in {"cases": default["cases"], "metrics": default["metrics"]}.items():
        for key in keys:
            assert re.search(rf"^(# )?{key} = |^\[{section}\.{key}\]", block, flags=re.MULTILINE), key
    commented = [line[2:].split("   ")[0] for line in block.splitlines() if line.startswith("# ")]
    for line in commented:
        read = tomllib.loads(line)
        top = {"calibrate": read.pop("calibrate")} if "calibrate" in read else {}
        content = {
            "name": "x",
            **top,
            "cases": {"source": "phantom" if "marker" in line else "manifest"}
            | ({"source": "phantom", "finding": "nodule"} if "finding_mm" in line else {})
            | read,
        }
        assert settings_from(content, "docs")
