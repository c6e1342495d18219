import re

from conftest import convolutional


def test_the_python_of_the_readme_runs(request, capsys):
    text = (request.config.rootpath / "README.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    exec(program, {"network": convolutional()})
    assert len(capsys.readouterr().out.split()) == 3


def test_every_command_of_the_readme_exists(request):
    text = (request.config.rootpath / "README.md").read_text()
    makefile = (request.config.rootpath / "Makefile").read_text()
    for target in set(re.findall(r"^make (\w+)", text, flags=re.MULTILINE)):
        assert f"\n{target}:" in makefile
    for file in set(re.findall(r"studies/[\w-]+\.toml", text)):
        assert (request.config.rootpath / file).is_file()
