"""``network.toml``: written, read back the same, and refused where it cannot be."""

import pytest

import network_files as files
from tomolens.classifier.contract import InputContract
from tomolens.classifier.network_file import NetworkFile, read_network_file, write_network_file
from tomolens.classifier.sources import NetworkSource
from tomolens.classifier.sources.declared_input import declared_input
from tomolens.errors import NetworkError, SettingsError


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    place = files.write_safetensors(files.small_network(), folder)
    return NetworkSource.of("safetensors", place, "monai:DenseNet", files.DENSENET)


EVERYTHING = {
    "contract": InputContract(
        windows=((-1000.0, 400.0), (-160.0, 240.0)),
        size=(32, 32),
        spacing=(1.5, 0.75),
        channels=2,
        black=-1.0,
        white=1.0,
        mean=(0.1, -2e-7),
        std=(0.5, 1.5),
        orientation="PL",
        not_translated=('CropForeground "tight"',),
    ),
    "output": "probabilities",
    "key": "0",
    "task": "labels",
    "classes": ("nodule", 'a "quoted", one\n'),
    "checked": {"same twice": "yes"},
}


@pytest.mark.parametrize("declared", [{}, EVERYTHING])
def test_it_comes_back_as_it_was(network, tmp_path, declared):
    made = NetworkFile(network, **declared)
    write_network_file(made, tmp_path / "network.toml")
    assert read_network_file(tmp_path / "network.toml") == made


def test_the_network_is_found_from_the_folder_of_the_file(tmp_path):
    (tmp_path / "one").mkdir()
    place = files.write_safetensors(files.small_network(), tmp_path / "one")
    made = NetworkFile(NetworkSource.of("safetensors", place, "monai:DenseNet", files.DENSENET))
    write_network_file(made, tmp_path / "one" / "network.toml")
    (tmp_path / "one").rename(tmp_path / "two")
    found = read_network_file(tmp_path / "two" / "network.toml")
    assert found.source.path == (tmp_path / "two" / "network.safetensors").resolve()
    assert found.classifier().class_scores(files.example()).shape == (3, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[input]", "[input"), "not TOML"),
        (('kind = "safetensors"', 'kind = "pickle"'), "network.kind: expected one of safetensors"),
        (('kind = "safetensors"', ""), "network.kind is missing; `tomolens model check` writes it"),
        (('returns = "logits"', 'returns = "decision"'), "output.returns: "),
        (("size = [32, 32]", "size = [32, 0]"), r"size = \[32, 0\]"),
        (("size = [32, 32]", 'size = "32"'), r"input.size"),
        (("size = [32, 32]", "sizes = [32, 32]"), r"input.sizes: "),
        (("[[-160.0, 240.0]]", "[[240.0, -160.0]]"), "HU from 240"),
        (("[[-160.0, 240.0]]", "[[-160.0]]"), "input.windows"),
        (('task = "classes"', 'task = "classes"\nclasses = ["a", "a"]'), "'a' is named twice"),
        (('hash = "', 'hash = "0'), "has changed since it was checked: run `tomolens model check` again"),
        (('file = "network.safetensors"', 'file = "a\\u0000b"'), "network: embedded null byte"),
        (("arguments = {", "arguments = {a = 2020-01-01, "), "network: Object of type date"),
        (('file = "network.safetensors"', 'file = "gone.safetensors"'), "gone.safetensors: no such file"),
    ],
)
def test_files_that_cannot_be(network, tmp_path, change, message):
    contract = InputContract(windows=((-160.0, 240.0),), size=(32, 32))
    file = network.path.parent / f"{tmp_path.name}.toml"
    write_network_file(NetworkFile(network, contract), file)
    text = file.read_text()
    assert change[0] in text
    file.write_text(text.replace(*change))
    with pytest.raises(NetworkError, match=message) as raised:
        read_network_file(file)
    assert str(file) in str(raised.value) or "gone" in message


def test_a_file_that_was_edited_is_told_of(network, tmp_path):
    contract = InputContract(windows=((-160.0, 240.0),), size=(32, 32))
    file = network.path.parent / "edited.toml"
    write_network_file(NetworkFile(network, contract), file)
    assert read_network_file(file).notes == ()
    text = file.read_text()
    file.write_text(f"# of the hospital\n{text}")
    assert read_network_file(file).notes == ()
    file.write_text(text.replace("[[-160.0, 240.0]]", "[[-1000.0, 400.0]]"))
    (note,) = read_network_file(file).notes
    assert note == "edited.toml was edited, and `tomolens model check` has not tried what it says now"
    assert read_network_file(file).classifier().sourced.notes == (note,)
    file.write_text(text.partition("[checked]")[0])
    assert "was written by hand" in read_network_file(file).notes[0]


def test_all_that_is_declared_is_in_the_hash(network, tmp_path):
    odd = NetworkFile(network, classes=("a", "b"), checked={"output_note": "looks like probabilities"})
    file = network.path.parent / "odd.toml"
    write_network_file(odd, file)
    assert read_network_file(file).notes == ("of the network's output: looks like probabilities",)
    text = file.read_text()
    joined = text.replace('["a", "b"]', '["a\\nb"]')
    silent = "\n".join(line for line in text.splitlines() if "output_note" not in line)
    for edited in (joined, silent):
        assert edited != text
        file.write_text(edited)
        assert "odd.toml was edited" in read_network_file(file).notes[0]


def test_whole_numbers_of_a_window_are_no_edit(network):
    file = network.path.parent / "whole.toml"
    whole = InputContract(windows=((-160, 240),), size=(32, 32), mean=(0,), std=(1,), spacing=(1, 1))
    write_network_file(NetworkFile(network, whole), file)
    assert read_network_file(file).notes == ()


def test_words_that_toml_has_none_for(network, tmp_path):
    named = NetworkFile(network, classes=("a\x7f", "b"))
    file = network.path.parent / "delete.toml"
    write_network_file(named, file)
    assert read_network_file(file) == named
    source = NetworkSource.of("safetensors", network.path, "monai:DenseNet", {**files.DENSENET, "act": None})
    with pytest.raises(SettingsError, match="is None, for which network.toml has no word"):
        write_network_file(NetworkFile(source), tmp_path / "network.toml")


def test_code_is_run_only_where_it_is_allowed(tmp_path):
    ran = tmp_path / "ran"
    own = tmp_path / "own.py"
    own.write_text(f"from pathlib import Path\nPath({str(ran)!r}).touch()\n\ndef network():\n    return 3\n")
    write_network_file(NetworkFile(NetworkSource.of("factory", own, "network")), tmp_path / "network.toml")
    with pytest.raises(NetworkError, match=r"made by running .*own.py: allow it with --allow-code"):
        read_network_file(tmp_path / "network.toml")
    found = read_network_file(tmp_path / "network.toml", allow_code=True)
    assert not ran.exists()
    with pytest.raises(NetworkError, match="returned int"):
        found.classifier()
    assert ran.exists()


def test_a_file_that_cannot_be_written(network, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot be written"):
        write_network_file(NetworkFile(network), tmp_path / "file" / "network.toml")


# What bundles and Hugging Face folders say of their input


def transforms(*listed):
    return {
        "preprocessing": {"_target_": "Compose", "transforms": [{"_target_": name, **given} for name, given in listed]}
    }


def declared_by(tmp_path, *listed):
    place = files.write_bundle(files.small_network(), tmp_path, **transforms(*listed))
    return declared_input(NetworkSource.of("bundle", place))


SCALED = ("ScaleIntensityRanged", {"a_min": -1000, "a_max": 400, "b_min": -1, "b_max": 1, "clip": True})


def test_a_bundle_says_what_goes_in(tmp_path):
    found = declared_by(
        tmp_path,
        ("LoadImaged", {}),
        ("EnsureChannelFirstd", {}),
        ("Orientationd", {"axcodes": "LP"}),
        ("Spacingd", {"pixdim": [0.7, 1.4]}),
        ("monai.transforms.CenterSpatialCropd", {"roi_size": [48, 32]}),
        SCALED,
        ("NormalizeIntensityd", {"subtrahend": 0.25, "divisor": 0.5}),
    )
    assert found.contract == InputContract(
        windows=((-1000.0, 400.0),),
        size=(32, 48),
        spacing=(1.4, 0.7),
        channels=1,
        black=-1.0,
        white=1.0,
        mean=(0.25,),
        std=(0.5,),
        orientation="LP",
    )
    assert found.classes == ("without contrast", "with contrast")


@pytest.mark.parametrize(
    ("listed", "left"),
    [
        ([("ScaleIntensityd", {})], "ScaleIntensity"),
        ([("CropForegroundd", {})], "CropForeground"),
        ([("RandFlipd", {})], "RandFlip"),
        ([("NormalizeIntensityd", {})], "NormalizeIntensity"),
        ([("NormalizeIntensityd", {"subtrahend": 0, "divisor": 1, "nonzero": True})], "not zero"),
        ([("NormalizeIntensityd", {"subtrahend": 0, "divisor": 1}), SCALED], "before any ScaleIntensityRange"),
        ([], "no ScaleIntensityRange"),
        ([(SCALED[0], {**SCALED[1], "clip": False})], "clips nothing"),
        ([SCALED, SCALED], "a second ScaleIntensityRange"),
        ([("CenterSpatialCropd", {"roi_size": 32})], "whose pixels have no size in mm"),
        ([("Resized", {"spatial_size": 32, "size_mode": "longest"})], "by the longest side"),
        ([("Spacingd", {"pixdim": [1, 1]}), ("Resized", {"spatial_size": [32, 32]})], "before a Resize"),
        ([("$open('x')", {})], "no literal"),
        ([("ScaleIntensityRanged", {"a_min": "$1"})], "no literal"),
        ([], "no orientation"),
    ],
)
def test_what_cannot_be_translated_is_listed(tmp_path, listed, left):
    found = declared_by(tmp_path, *listed)
    assert any(left in one for one in found.contract.not_translated), found.contract.not_translated


def test_a_preprocessing_that_is_code_is_listed(tmp_path):
    place = files.write_bundle(files.small_network(), tmp_path, preprocessing="$make()")
    found = declared_input(NetworkSource.of("bundle", place))
    assert found.contract.not_translated[0] == "a preprocessing that is no list"
    assert found.contract.size == (32, 32)  # of the metadata
