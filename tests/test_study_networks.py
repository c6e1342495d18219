"""Networks from elsewhere, from the command line: `model check`, then a short study, simulated and of real slices."""

import json

import pytest
import torch
from safetensors.torch import save_file

import network_files as files
import tomolens as tl
from tomolens.classifier.architectures import make
from tomolens.classifier.sources import KINDS
from tomolens.errors import SettingsError
from tomolens.results.store import Store

CLASSES = "without contrast, with contrast"
SMALL = (
    'name = "small"\nbatch_size = 8\nexamples = 1\n[cases]\n{cases}\n[metrics]\nsteps = 4\nroc_points = 11\n'
    "[statistics]\nresamples = 100\n[estimators]\n{names}\nblur = 0\nbaselines = []\n{parameters}"
)
GRADIENTS = 'names = ["backpropagation", "smoothgrad-squared"]'
FEWER = "[estimators.parameters.smoothgrad-squared]\nsamples = 2\n"
PHANTOMS = 'source = "phantom"\ntrain = 1\ntest = 4'

MONAI = {
    "monai:DenseNet121": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2},
    "monai:EfficientNetBN": {"model_name": "efficientnet-b0", "in_channels": 1, "num_classes": 2},
    "monai:SEResNet50": {"spatial_dims": 2, "in_channels": 1, "num_classes": 2},
    "monai:ViT": {
        **{"spatial_dims": 2, "in_channels": 1, "num_classes": 2, "img_size": [32, 32], "patch_size": [8, 8]},
        **{"hidden_size": 24, "mlp_dim": 24, "num_layers": 2, "num_heads": 2},
    },
}


def by_name(architecture):
    def write(folder):
        arguments = MONAI[architecture]
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = make(architecture, arguments).train()
            with torch.no_grad():  # batch norms of a new one know nothing yet, and all its scores are alike
                for _ in range(30):
                    network(torch.rand(8, 1, 32, 32))
        save_file(network.state_dict(), folder / "network.safetensors")
        given = ", ".join(f"{name} = {json.dumps(value)}" for name, value in arguments.items())
        return folder / "network.safetensors", ["--architecture", architecture, "--arguments", given]

    return write


def in_a_file(write):
    return lambda folder: (write(files.small_network(), folder), [])


def hugging_face(folder):
    transformers = pytest.importorskip("transformers")
    configuration = transformers.ViTConfig(
        **{"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24},
        **{"image_size": 32, "patch_size": 8, "num_channels": 3, "num_labels": 2},
        id2label={0: "without contrast", 1: "with contrast"},
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.ViTForImageClassification(configuration).save_pretrained(folder / "vit")
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder / "vit")
    return folder / "vit", []


def own_code(folder):
    return f"{files.write_factory(files.small_network(), folder)}:network", ["--allow-code"]


NETWORKS = {
    **{name: by_name(name) for name in MONAI},
    "hugging face": hugging_face,
    "bundle": in_a_file(files.write_bundle),
    "exported": in_a_file(files.write_exported),
    "torchscript": in_a_file(files.write_torchscript),
    "onnx": in_a_file(files.write_onnx),
    "own code": own_code,
}
DECLARED = {"bundle": [], "hugging face": ["--input", "-160..240"]}


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Folders of networks that were written once."""
    return {}


@pytest.fixture(params=NETWORKS)
def network(request, checked, tomolens, tmp_path_factory):
    """``network.toml`` of each kind, as the command writes it."""
    name = request.param
    if name not in checked:
        folder = tmp_path_factory.mktemp("network")
        place, arguments = NETWORKS[name](folder)
        declared = DECLARED.get(name, ["--input", "-160..240 HU 1x32x32"])
        classes = [] if name == "bundle" else ["--classes", CLASSES]
        code, printed, error = tomolens(
            *("model", "check", place, *declared, *classes, *arguments),
            *("--output", "logits", "--out", folder / "network.toml"),
        )
        assert code == 0, error + printed
        checked[name] = folder / "network.toml"
    return name, checked[name]


def study(tomolens, tmp_path, network, cases, *more, workers=2):
    name, file = network
    names, parameters = ("", "") if name == "onnx" else (GRADIENTS, FEWER)
    (tmp_path / "study.toml").write_text(SMALL.format(cases=cases, names=names, parameters=parameters))
    code = ["--allow-code"] if name == "own code" else []
    return tomolens(
        *("study", tmp_path / "study.toml", "--model", file, "--out", tmp_path / "results", "--workers", workers),
        *("--quiet", "--json", *code, *more),
    )


def test_a_study_of_any_network(network, tomolens, tmp_path):
    code, printed, error = study(tomolens, tmp_path, network, PHANTOMS)
    assert code == 0, error
    told = json.loads(printed.splitlines()[-1])
    assert told["cases"] == 4
    description = Store(tmp_path / "results").description()
    assert description.raw["content"]["cases"]["shape"] == [1, 32, 32]
    assert description.classes == ("without contrast", "with contrast")
    cited = description.raw["networks"][0]
    assert len(cited["file_hash"]) == 32
    assert cited["network"].split()[0] in KINDS
    shown = {one.name for one in description.estimators if not one.baseline}
    wanted = {"occlusion", "random"} if network[0] == "onnx" else {"backpropagation", "smoothgrad-squared"}
    assert shown == wanted
    if network[0] not in ("exported", "onnx", "own code"):
        return  # what computes again is the same for all
    allowed = ["--allow-code"] if network[0] == "own code" else []
    code, _, error = tomolens("study", "--verify", tmp_path / "results", "--model", network[1], *allowed)
    assert code == 0, error


def test_two_real_slices(network, real_ct, tomolens, tmp_path):
    manifest = real_ct / "tcga-contrast" / "cases.csv"
    header, *rows = manifest.read_text().splitlines()
    labels = header.split(",").index("label")
    chosen = [next(row for row in rows if row.split(",")[labels] == label) for label in "01"]
    image, mask = header.split(",").index("image"), header.split(",").index("mask")
    for at, row in enumerate(chosen):
        parts = row.split(",")
        parts[image] = str(manifest.parent / parts[image])
        parts[mask] = ";".join(str(manifest.parent / one) for one in parts[mask].split(";") if one)
        chosen[at] = ",".join(parts)
    (tmp_path / "two.csv").write_text("\n".join([header, *chosen]) + "\n")
    code, printed, error = study(tomolens, tmp_path, network, "", "--cases", tmp_path / "two.csv")
    assert code == 0, error
    assert json.loads(printed.splitlines()[-1])["cases"] == 2


@pytest.fixture
def file(tmp_path, tomolens):
    """One ``network.toml``, of weights by name."""
    place = files.write_safetensors(files.small_network(), tmp_path)
    arguments = ", ".join(f"{name} = {json.dumps(value)}" for name, value in files.DENSENET.items())
    code, _, error = tomolens(
        *("model", "check", place, "--input", "-160..240 1x32x32", "--architecture", "monai:DenseNet"),
        *("--arguments", arguments, "--classes", CLASSES, "--out", tmp_path / "network.toml"),
    )
    assert code == 0, error
    return tmp_path / "network.toml"


def test_a_study_file_names_its_network(file, tomolens, tmp_path):
    text = SMALL.format(cases=PHANTOMS, names=GRADIENTS, parameters=FEWER)
    (tmp_path / "study.toml").write_text(text + '[classifier]\nnetwork = "network.toml"\n')
    code, printed, error = tomolens(
        "study", tmp_path / "study.toml", "--out", tmp_path / "results", "--workers", 1, "--quiet", "--json"
    )
    assert code == 0, error
    assert json.loads(printed.splitlines()[-1])["cases"] == 4

    code, _, error = tomolens("study", "--verify", tmp_path / "results")
    assert (code, "its network was given, and must be given again: --model network.toml" in error) == (2, True)
    (tmp_path / "other.toml").write_text(file.read_text())
    code, _, error = tomolens(
        "study", tmp_path / "study.toml", "--model", tmp_path / "other.toml", "--out", tmp_path / "o"
    )
    assert (code, "and another network is given: take one" in error) == (2, True)


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ("size = 24", r"takes cases.size = [32, 32], the study has [24, 24]"),
        ("window = [-1000, 400]", r"takes cases.window = [[-160.0, 240.0]], the study has [[-1000.0, 400.0]]"),
        ('classes = ["a", "b"]', "its outputs are without contrast, with contrast, cases.classes are a, b"),
        ('classes = ["a", "b", "c"]', "simulated cases have two"),
    ],
)
def test_a_study_of_other_images_is_refused(file, tomolens, tmp_path, cases, message):
    code, _, error = study(tomolens, tmp_path, ("", file), f"{PHANTOMS}\n{cases}")
    assert code == 2
    assert message in error
    assert not (tmp_path / "results").exists()


def test_a_network_of_patches_sees_larger_images_by_its_own_size(file, tomolens, tmp_path):
    cases = f"{PHANTOMS}\nsize = 48\n[classifier.patches]\nsize = {{}}\noverlap = 0.5"
    code, _, error = study(tomolens, tmp_path, ("", file), cases.format(24))
    assert (code, "takes classifier.patches.size = [32, 32], the study has [24, 24]" in error) == (2, True), error
    code, _, error = study(tomolens, tmp_path, ("", file), cases.format(32))
    assert code == 0, error
    description = Store(tmp_path / "results").description()
    assert description.raw["content"]["cases"]["shape"] == [1, 48, 48]
    assert "size=(32, 32), overlap=0.5" in description.raw["networks"][0]["patches"]


def test_what_network_toml_says_wrongly_shows_before_cases_are_read(file, tomolens, tmp_path):
    text = file.read_text()
    for change, message in (
        (('returns = "logits"', 'returns = "logit"'), "network.safetensors: "),
        (('classes = ["without contrast", "with contrast"]', ""), "cases.classes"),
    ):
        assert change[0] in text
        file.write_text(text.replace(*change))
        names = 'classes = ["a", "b", "c"]' if change[1] == "" else ""
        (tmp_path / "study.toml").write_text(f'name = "x"\n[cases]\nsource = "manifest"\nsize = 32\n{names}\n')
        code, _, error = tomolens("study", tmp_path / "study.toml", "--model", file, "--cases", tmp_path / "none.csv")
        assert (code, error.count("\n")) == (2, 1)
        assert message in error
        assert "none.csv" not in error


def test_an_edited_network_toml_is_cited_as_such(file, tomolens, tmp_path):
    file.write_text(file.read_text().replace("[[-160.0, 240.0]]", "[[-200.0, 240.0]]"))
    code, _, error = study(tomolens, tmp_path, ("", file), PHANTOMS, workers=1)
    assert code == 0, error
    (note,) = Store(tmp_path / "results").description().raw["network_notes"]
    assert "network.toml was edited" in note
    page = (tmp_path / "results" / "report.html").read_text()
    assert "network.toml was edited" in page
    assert "It takes: windows = ((-200.0, 240.0),), size = (32, 32), channels = 1." in page


def test_an_edited_network_toml_is_told_where_one_sits(file, tomolens, tmp_path):
    file.write_text(file.read_text().replace("[[-160.0, 240.0]]", "[[-200.0, 240.0]]"))
    (tmp_path / "study.toml").write_text(SMALL.format(cases=PHANTOMS, names=GRADIENTS, parameters=FEWER))
    given = ("study", tmp_path / "study.toml", "--model", file, "--dry-run")
    code, _, error = tomolens(*given)
    assert code == 0, error
    assert "tomolens: note: network.toml was edited, and `tomolens model check` has not tried" in error
    assert "note" not in tomolens(*given, "--quiet")[2]


def test_names_are_counted_against_outputs(file, tomolens, tmp_path):
    text = file.read_text()
    file.write_text(text.replace(', "with contrast"]', ', "with contrast", "third"]'))
    (tmp_path / "study.toml").write_text(
        'name = "x"\n[cases]\nsource = "manifest"\n[metrics]\nfill = "mean"\n[estimators]\ndirection = "class"\n'
    )
    code, _, error = tomolens("study", tmp_path / "study.toml", "--model", file, "--cases", tmp_path / "none.csv")
    assert (code, error.count("\n")) == (2, 1), error
    assert "returns 2 classes, its network.toml names 3: without contrast, with contrast, third" in error
    file.write_text(text.replace('task = "classes"', 'task = "labels"').replace(', "with contrast"]', "]"))
    code, _, error = study(tomolens, tmp_path, ("", file), PHANTOMS + '\n[classifier]\nlabel = "without contrast"')
    assert (code, "returns 2 labels, its network.toml names 1" in error) == (2, True), error


def test_a_network_that_breaks_on_the_images_of_a_study_is_told_before_it_is_priced(tomolens, tmp_path):
    (tmp_path / "own.py").write_text(
        "import torch\nfrom torch import nn\n\nclass Own(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        torch.manual_seed(0)\n"
        "        self.out = nn.Linear(32 * 32, 2)\n\n    def forward(self, x):\n        return self.out(x.flatten(1))\n"
        "\ndef network():\n    return Own()\n"
    )
    code, _, error = tomolens(
        *("model", "check", f"{tmp_path / 'own.py'}:network", "--input", "-160..240 1x32x32", "--allow-code"),
        *("--out", tmp_path / "network.toml"),
    )
    assert code == 0, error
    file = tmp_path / "network.toml"
    file.write_text(file.read_text().replace("size = [32, 32]\n", ""))
    (tmp_path / "study.toml").write_text(SMALL.format(cases=PHANTOMS, names=GRADIENTS, parameters=FEWER))
    code, _, error = tomolens("study", tmp_path / "study.toml", "--model", file, "--dry-run", "--quiet", "--allow-code")
    assert (code, error.count("\n")) == (2, 1), error
    assert "the network breaks on an image of the study, 1 x " in error


def test_a_classifier_of_labels_or_volumes_is_not_priced(file, tmp_path):
    text = file.read_text()
    (tmp_path / "study.toml").write_text(
        SMALL.format(cases=PHANTOMS + "\nsize = 32", names=GRADIENTS, parameters=FEWER)
    )
    file.write_text(text.replace('task = "classes"', 'task = "labels"'))
    with pytest.raises(SettingsError, match="several labels: give one of them"):
        tl.Study.from_toml(tmp_path / "study.toml", classifier=tl.load_classifier(file)).estimate()
    file.write_text(text.replace("size = [32, 32]", "size = [32, 32, 32]"))
    with pytest.raises(SettingsError, match="takes volumes of 32 x 32 x 32, and the study reads slices: .* = 3"):
        tl.Study.from_toml(tmp_path / "study.toml", classifier=tl.load_classifier(file))


def test_weights_of_others_and_volumes_are_told_what_to_do(tomolens, tmp_path):
    place = files.write_safetensors(files.small_network(), tmp_path)
    code, _, error = tomolens("study", "--model", place, "--out", tmp_path / "results")
    assert (code, f"`tomolens model check {place} --architecture" in error) == (2, True)
    volumes = {**files.DENSENET, "spatial_dims": 3}
    place = files.write_safetensors(files.small_network(spatial_dims=3), tmp_path)
    arguments = ", ".join(f"{name} = {json.dumps(value)}" for name, value in volumes.items())
    code, _, error = tomolens(
        *("model", "check", place, "--input", "-160..240HU 1x32x32x32", "--architecture", "monai:DenseNet"),
        *("--arguments", arguments, "--out", tmp_path / "network.toml"),
    )
    assert code == 0, error
    (tmp_path / "study.toml").write_text(
        SMALL.format(cases=PHANTOMS + "\ndimensions = 2", names=GRADIENTS, parameters=FEWER)
    )
    network = ("--model", tmp_path / "network.toml", "--out", tmp_path / "results")
    code, _, error = tomolens("study", tmp_path / "study.toml", *network)
    assert (code, "takes volumes of 32 x 32 x 32, and the study reads slices" in error) == (2, True), error


def test_networks_of_which_nothing_is_declared(tomolens, tmp_path):
    place = files.write_exported_of_one(files.small_network(), tmp_path)
    code, _, error = tomolens("study", "--model", place, "--out", tmp_path / "results")
    assert code == 2
    assert "`tomolens model check" in error
    code, _, error = tomolens("study", "--model", tmp_path / "none.toml", "--out", tmp_path / "results")
    assert (code, "No such file" in error) == (2, True)


def test_gradients_of_a_network_that_gives_none_are_refused_before_anything_is_done(tomolens, tmp_path):
    place = files.write_onnx(files.small_network(), tmp_path)
    tomolens("model", "check", place, "--input", "-160..240 1x32x32", "--out", tmp_path / "network.toml")
    (tmp_path / "study.toml").write_text(SMALL.format(cases=PHANTOMS, names=GRADIENTS, parameters=""))
    code, _, error = tomolens(
        "study", tmp_path / "study.toml", "--model", tmp_path / "network.toml", "--out", tmp_path / "results"
    )
    assert code == 2
    assert "backpropagation, smoothgrad-squared: the network gives no gradients (onnxruntime" in error
    assert not (tmp_path / "results").exists()


def test_one_label_of_several_is_a_study(tomolens, tmp_path):
    place = files.write_safetensors(files.small_network(out_channels=3), tmp_path)
    arguments = ", ".join(
        f"{name} = {json.dumps(value)}" for name, value in {**files.DENSENET, "out_channels": 3}.items()
    )
    tomolens(
        *("model", "check", place, "--input", "-160..240 1x32x32", "--architecture", "monai:DenseNet"),
        *("--arguments", arguments, "--labels", "--classes", "effusion,contrast,nodule", "--output", "logits"),
        *("--out", tmp_path / "network.toml"),
    )
    network = ("", tmp_path / "network.toml")
    code, _, error = study(tomolens, tmp_path, network, PHANTOMS)
    assert (code, "several labels (effusion, contrast, nodule)" in error) == (2, True)
    code, _, error = study(tomolens, tmp_path, network, PHANTOMS + '\n[classifier]\nlabel = "contrast"', workers=1)
    assert code == 0, error
    assert Store(tmp_path / "results").description().classes == ("no contrast", "contrast")
    (tmp_path / "results").rename(tmp_path / "before")
    code, _, error = study(tomolens, tmp_path, network, PHANTOMS + '\n[classifier]\nlabel = "tumour"')
    wanted = "classifier.label 'tumour': the labels of network.safetensors are effusion, contrast, nodule"
    assert (code, wanted in error) == (2, True)
    code, _, error = study(tomolens, tmp_path, network, PHANTOMS + '\n[classifier]\nlabel = "nodul"')
    assert (code, "did you mean 'nodule'?" in error) == (2, True)
    code, _, error = study(tomolens, tmp_path, network, PHANTOMS + '\n[classifier]\nlabel = "3"')
    assert (code, "classifier.label '3': the labels of network.safetensors are" in error) == (2, True)
    code, _, error = study(tomolens, tmp_path, network, PHANTOMS + '\n[classifier]\nlabel = "1"', workers=1)
    assert code == 0, error
    assert Store(tmp_path / "results").description().classes == ("no contrast", "contrast")
