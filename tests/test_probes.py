"""`model check`: claims against probes, on networks that keep them and on networks that break each."""

import json

import pytest

import network_files as files
from tomolens.classifier.contract import InputContract
from tomolens.classifier.network_file import read_network_file
from tomolens.errors import NetworkError, SettingsError
from tomolens.probes import check_network
from tomolens.probes.words import input_from, output_from

INPUT = "CT -160..240 HU 1x32x32"


def own(tmp_path, forward, members="", extra=""):
    """A network of one's own code, by the body of its forward pass."""
    file = tmp_path / "own.py"
    file.write_text(
        "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n"
        f"{extra}\n\nclass Own(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        torch.manual_seed(0)\n"
        "        self.conv = nn.Conv2d(1, 4, 3)\n        self.out = nn.Linear(4, 2)\n"
        f"        {members or 'pass'}\n\n    def forward(self, x):\n        {forward}\n\n\n"
        "def network():\n    return Own()\n"
    )
    return f"{file}:network"


PLAIN = "return (8 * self.out(F.relu(self.conv(x)).mean(dim=(2, 3))))"


def state(found, check):
    return next(one for one in found.findings if one.check == check)


def test_a_network_that_keeps_its_claims(tmp_path):
    found = check_network(own(tmp_path, PLAIN), input=INPUT, allow_code=True, classes=["no", "yes"])
    assert {one.state for one in found.findings} == {"ok"}
    assert found.network.output == "logits"
    assert found.network.classes == ("no", "yes")
    assert found.network.contract == InputContract(((-160.0, 240.0),), (32, 32), channels=1)
    assert "1 ReLUs, all covered" in state(found, "rectifiers").found
    assert "4 planes of 30 x 30, last in 'conv'" in state(found, "layers").found


BROKEN = {
    "dropout that stays on": (PLAIN.replace("self.conv(x)", "F.dropout(self.conv(x), 0.5, True)"), "same twice"),
    "batch norm in training": (
        PLAIN.replace("self.conv(x)", "F.batch_norm(self.conv(x), None, None, training=True)"),
        "alone and in a batch",
    ),
    "argmax": (PLAIN + ".argmax(dim=1)", "output"),
    "threshold": (PLAIN.replace("return ", "return (") + " > 0.1).float()", "output"),
    "softmax undeclared": (PLAIN + ".softmax(dim=1)", "output"),
    "sigmoid undeclared": (PLAIN + "[:, :1].sigmoid()", "output"),
    "no gradient of class 0": (
        PLAIN.replace("return ", "y = ") + "; return torch.cat([0 * y[:, :1].detach(), y[:, 1:]], dim=1)",
        "gradient",
    ),
    "no gradient": (PLAIN.replace("(x)", "(x.detach())"), "gradient"),
    "rounded inside": (PLAIN.replace("self.conv(x)", "torch.round(100 * self.conv(x)) / 100"), "gradient"),
    "the same for all": (PLAIN.replace("(x)", "(0 * x)"), "output"),
    "NaN": (PLAIN + " * float('nan')", "output"),
    "planes": ("return self.conv(x)", "output"),
    "raises": ("raise ValueError('not today')", "output"),
    "two outputs": ("return self.conv(x), " + PLAIN.removeprefix("return "), "output"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_network_that_breaks_one_is_refused(tmp_path, fault):
    forward, check = BROKEN[fault]
    found = check_network(own(tmp_path, forward), input=INPUT, allow_code=True)
    assert found.network is None
    assert found.findings[-1].state == "refused"
    assert found.findings[-1].check == check


def test_an_output_declared_wrongly_is_told_what_it_can_be(tmp_path):
    found = check_network(own(tmp_path, PLAIN), input=INPUT, output="logit", allow_code=True)
    assert (
        "declared as logit: 2 values an image are logits, and probabilities lie in [0, 1]" in found.findings[-1].found
    )
    softmax = own(tmp_path, PLAIN + ".softmax(dim=1)")
    found = check_network(softmax, input=INPUT, output="probability", allow_code=True)
    assert "2 values an image are logits or probabilities" in found.findings[-1].found
    found = check_network(softmax, input=INPUT, output="logits", allow_code=True)
    assert "though they look like probabilities" in found.network.checked["output_note"]


def test_several_notes_of_one_check_are_all_kept(tmp_path):
    bundle = files.write_bundle(files.small_network(), tmp_path)
    metadata = bundle / "configs" / "inference.json"
    content = json.loads(metadata.read_text())
    transforms = content["preprocessing"]["transforms"]
    transforms += [{"_target_": "ThresholdIntensityd", "keys": "image"}, {"_target_": "RandFlipd", "keys": "image"}]
    metadata.write_text(json.dumps(content))
    found = check_network(bundle, input=INPUT)
    assert "ThresholdIntensity" in found.network.checked["not translated"]
    assert "RandFlip" in found.network.checked["not translated"]


@pytest.mark.parametrize(
    ("forward", "declared", "wanted"),
    [
        (PLAIN + ".softmax(dim=1)", "probabilities", "ok"),
        (PLAIN + ".softmax(dim=1)", "logits", "note"),
        (PLAIN + "[:, :1].sigmoid()", "probability", "ok"),
        (PLAIN + ".sigmoid()", "probabilities", "refused"),  # of classes they would add up to 1
        (PLAIN, "probabilities", "refused"),
        (PLAIN, "logit", "refused"),
        ("return self.conv(x), " + PLAIN.removeprefix("return "), "logits:1", "ok"),
        ("return self.conv(x), " + PLAIN.removeprefix("return "), ":1", "ok"),
    ],
)
def test_what_is_declared_of_the_output_is_tried(tmp_path, forward, declared, wanted):
    found = check_network(own(tmp_path, forward), input=INPUT, output=declared, allow_code=True)
    assert state(found, "output").state == wanted
    if wanted != "refused":
        assert found.network.classifier().class_scores(files.example()).shape == (3, 2)


def test_labels_are_each_a_yes_or_no(tmp_path):
    network = own(tmp_path, PLAIN + ".sigmoid()")
    found = check_network(
        network, input=INPUT, output="probabilities", task="labels", classes=["a", "b"], allow_code=True
    )
    assert found.network.task == "labels"
    assert found.network.classifier().of_label(1).class_scores(files.example()).shape == (3, 2)
    refused = check_network(network, input=INPUT, output="probabilities", task="labels", classes="abc", allow_code=True)
    assert "2 labels, and 3 are named: a, b, c" in refused.findings[-1].found


def test_labels_that_lie_between_0_and_1_and_are_called_logits_are_noted(tmp_path):
    network = own(tmp_path, PLAIN + ".sigmoid()")
    found = check_network(network, input=INPUT, output="logits", task="labels", allow_code=True)
    assert state(found, "output").state == "note"
    assert "though they look like probabilities" in found.network.checked["output_note"]
    network = own(tmp_path, PLAIN)
    found = check_network(network, input=INPUT, output="logits", task="labels", allow_code=True)
    assert state(found, "output").state == "ok"


def test_the_end_of_a_long_reason_is_kept(tmp_path):
    found = check_network(
        own(tmp_path, "raise ValueError('where it was, ' * 100 + 'and why')"), input=INPUT, allow_code=True
    )
    assert "it raised ValueError: where it was" in found.findings[-1].found
    assert "and why; is the input as it was trained?" in found.findings[-1].found
    assert len(found.findings[-1].found) < 400


@pytest.mark.parametrize(
    ("given", "message"), [("1x32x32", "which Hounsfield units are black and white"), ("-160..240", "which size")]
)
def test_an_input_of_which_too_little_is_said(tmp_path, given, message):
    found = check_network(own(tmp_path, PLAIN), input=given, allow_code=True)
    assert found.network is None
    assert message in found.findings[-1].found


def test_smooth_rectifiers_are_told(tmp_path):
    found = check_network(own(tmp_path, PLAIN.replace("F.relu", "F.gelu")), input=INPUT, allow_code=True)
    assert state(found, "rectifiers").state == "note"
    assert "GELU" in state(found, "rectifiers").found


def test_a_network_that_is_trained_while_it_is_asked_stays_in_eval_mode_or_is_told(tmp_path):
    stubborn = "class Stubborn(nn.Dropout):\n    def train(self, mode=True):\n        return super().train(True)\n"
    members = "self.drop = Stubborn(0.0)"
    found = check_network(own(tmp_path, PLAIN, members, stubborn), input=INPUT, allow_code=True)
    assert state(found, "eval mode").state == "note"
    assert "1 modules stay in training mode: network.drop" in state(found, "eval mode").found


# Words


def test_words_of_the_input():
    known = InputContract(channels=3, mean=(0.5,), std=(0.5,))
    assert input_from("CT -160..240 HU 1x224x224", InputContract()) == InputContract(
        ((-160.0, 240.0),), (224, 224), channels=1
    )
    assert input_from(
        "-1000..400,-160..240 2x8x16x32 spacing=2 mean=0.1,0.2 std=1 range=-1..1 orientation=ras", InputContract()
    ) == InputContract(
        ((-1000.0, 400.0), (-160.0, 240.0)),
        (8, 16, 32),
        (2.0, 2.0, 2.0),
        2,
        -1.0,
        1.0,
        (0.1, 0.2),
        (1.0,),
        "RAS",
    )
    assert input_from("0..1", known) == InputContract(((0.0, 1.0),), channels=3, mean=(0.5,), std=(0.5,))
    assert input_from("", known) is not None


@pytest.mark.parametrize("word", ["224", "-160-240", "mean=x", "spacing=", "orientation=", "HUU", "240..-160"])
def test_words_that_are_none(word):
    with pytest.raises(SettingsError):
        input_from(word, InputContract())


def test_a_blank_after_a_comma_and_units_that_touch(tmp_path):
    close = input_from("-1000..400, -160..240HU 2x32x32 spacing=0.8mm", InputContract())
    assert close == input_from("-1000..400,-160..240 HU 2x32x32 spacing=0.8", InputContract())
    with pytest.raises(SettingsError, match="'64x64': which channels. As in 1x64x64"):
        input_from("64x64", InputContract())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-160..240 0..1 1x32x32", r"'0..1' says windows again: .* or range=0..1 for what black and white were"),
        ("-160..240 1x32x32 3x64x64", "'3x64x64' says size again"),
        ("1x32x32 range=0..1 range=-1..1", "'range=-1..1' says black again"),
        ("mean=0.5 mean=0.1", "'mean=0.1' says mean again"),
        ("spacing=0.8 spacing=2 1x4x4", "'spacing=2' says spacing again"),
        ("orientation=PL orientation=PR 1x4x4", "'orientation=PR' says orientation again"),
        ("-160..240 0x32x32", "'0x32x32' has no channels"),
        ("-160..240 1x99999999x99999999", "1 to 65536 pixels"),
    ],
)
def test_words_of_the_input_that_cannot_be_together(text, message):
    with pytest.raises(SettingsError, match=message):
        input_from(text, InputContract())


def test_words_of_the_output():
    assert (output_from("").returns, output_from("logits:0").key, output_from(":score").key) == ("", "0", "score")
    with pytest.raises(SettingsError, match="--output: 'logit s', expected one of logit, probability"):
        output_from("logit s")


# The command


def test_the_command_writes_what_studies_cite(tomolens, tmp_path):
    file = files.write_safetensors(files.small_network(), tmp_path)
    arguments = ", ".join(f"{name} = {json.dumps(value)}" for name, value in files.DENSENET.items())
    out = tmp_path / "network.toml"
    code, printed, error = tomolens(
        *("model", "check", file, "--input", INPUT, "--architecture", "monai:DenseNet", "--arguments", arguments),
        *("--classes", "without contrast, with contrast", "--out", out, "--json"),
    )
    assert (code, error) == (0, "")
    assert "ok       gradient" in printed
    told = json.loads(printed.splitlines()[-1])
    assert told["written"] == str(out)
    made = read_network_file(out)
    assert made.classes == ("without contrast", "with contrast")
    assert made.source.hash == told["hash"]
    assert set(made.checked) >= {"tomolens", "torch", "gradient", "layers"}


def test_the_command_refuses_in_one_line(tomolens, tmp_path):
    file = files.write_safetensors(files.small_network(), tmp_path)
    for arguments, message in (
        ([file], "weights alone: name what they are of with --architecture"),
        ([tmp_path / "none.pt2"], "no such file or folder"),
        ([file, "--architecture", "monai:DenseNet", "--arguments", "x ="], "--arguments: not TOML"),
        ([file, "--architecture", "monai:DenseNet", "--arguments", "in_chanels = 1"], "did you mean 'in_channels'?"),
        ([file, "--architecture", "monai:DenseNet", "--arguments", "act = 2026-01-01"], "act"),
        ([file, "--architecture", "monai:resnet18", "--arguments", "block = 'basic'"], "has no argument 'block'"),
        ([file, "--architecture", "monai:DenseNet", "--out", tmp_path / "network.txt"], "as in network.toml"),
        ([file, "--architecture", "monai:DenseNet", "--out", "/proc/none/network.toml"], "/proc/none"),
        ([file, "--architecture", "monai:DenseNet", "--classes", "a,a"], "'a' is named twice"),
        (
            [file, "--architecture", "densenet121"],
            "'densenet121': did you mean 'monai:DenseNet121'",
        ),
        ([tmp_path / "own.py"], "no such file"),
        ([f"{tmp_path / 'own.py'}:make"], "allow it with --allow-code"),
    ):
        code, _, error = tomolens("model", "check", *arguments, "--input", INPUT)
        assert code == 2
        assert error.count("\n") == 1
        assert message in error
    (tmp_path / "own.py").write_text("")
    code, _, error = tomolens("model", "check", tmp_path / "own.py")
    assert "name the function that makes the network" in error


def test_own_architecture_beside_files_that_bring_theirs(tmp_path):
    bundle = files.write_bundle(files.small_network(), tmp_path)
    with pytest.raises(SettingsError, match="brings its own architecture"):
        check_network(bundle, architecture="monai:DenseNet")
    with pytest.raises(NetworkError, match="network_def"):
        check_network(files.write_bundle(files.small_network(), tmp_path, network_def="$x"))
