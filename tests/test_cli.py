"""The command as a user meets it: what it prints, and how it refuses."""

import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from ct_files import body, write_series
from test_cases_manifest import write_dicom, write_manifest
from test_cases_sources import StandIn
from tomolens.cases.sources import download
from tomolens.classifier.architectures import arguments_for, build
from tomolens.classifier.weights import load_weights, save_weights
from tomolens.errors import SettingsError
from tomolens.estimators.registry import ESTIMATORS, GROUPS
from tomolens.study.given_network import trained_classifier
from tomolens.study.settings import StudySettings


@pytest.fixture
def manifest(tmp_path):
    """Eight slices of four patients, and files that no study can use."""
    random = np.random.default_rng(0)
    rows = []
    for index in range(8):
        write_dicom(tmp_path / f"{index}.dcm", np.round(random.uniform(-200, 300, (24, 24))))
        rows.append((f"c{index}", f"{index}.dcm", (index // 2) % 2, f"p{index // 2}", ""))
    write_dicom(tmp_path / "mr.dcm", np.zeros((24, 24)), modality="MR")
    (tmp_path / "broken.dcm").write_bytes(b"\0" * 400)
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((8, 8), np.uint8)), str(tmp_path / "small.png"))
    nan = np.full((1, 24, 24), np.nan, np.float32)
    sitk.WriteImage(sitk.GetImageFromArray(nan), str(tmp_path / "nan.nii"))

    def write(*changed, columns=("case", "image", "label", "patient", "mask")):
        return write_manifest(tmp_path, [*rows, *changed], columns)

    return write


@pytest.fixture
def study_file(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text('name = "test"\n[cases]\nsize = 24\nfolds = 2\n[classifier.recipe]\narchitecture = "resnet18"\n')
    return file


BAD_CASES = {
    "missing file": (("x", "none.dcm", 1, "q", ""), "none.dcm: no such file"),
    "unreadable DICOM": (("x", "broken.dcm", 1, "q", ""), "broken.dcm: not a DICOM file"),
    "MR": (("x", "mr.dcm", 1, "q", ""), "mr.dcm: modality is MR, expected CT"),
    "label": (("x", "0.dcm", 7, "q", ""), "label '7' is outside the classes"),
    "mask of another size": (("x", "0.dcm", 1, "q", "small.png"), "small.png: mask of (8, 8) pixels on an image of"),
    "NaN": (("x", "nan.nii", 1, "q", ""), "nan.nii: 576 of 576 pixels are not finite"),
}


def assert_one_line(code, error, message):
    assert code == 2
    assert message in error
    assert error.startswith("tomolens: ")
    assert error.count("\n") == 1 + error.count("reading cases")
    assert "Traceback" not in error


@pytest.mark.parametrize("fault", BAD_CASES)
def test_bad_cases(tomolens, manifest, study_file, tmp_path, fault):
    row, message = BAD_CASES[fault]
    code, _, error = tomolens("study", study_file, "--cases", manifest(row), "--out", tmp_path / "r")
    last = error.strip().splitlines()[-1] + "\n"
    assert_one_line(code, last, message)
    assert "Traceback" not in error


def test_a_patient_in_train_and_test(tomolens, tmp_path, manifest, study_file):
    path = manifest()
    lines = path.read_text().splitlines()
    lines = [lines[0] + ",split", *(line + (",train" if i % 2 else ",test") for i, line in enumerate(lines[1:]))]
    path.write_text("\n".join(lines))
    code, _, error = tomolens("study", study_file, "--cases", path, "--out", tmp_path / "r")
    assert_one_line(code, error.strip().splitlines()[-1] + "\n", "is in both train and test")


def test_a_network_that_gives_nan(tomolens, tmp_path, manifest, study_file):
    network = build("resnet18")
    network.fc.weight.data.fill_(3e38)  # finite, as weights must be
    save_weights(network, tmp_path / "nan.safetensors", "resnet18")
    study_file.write_text(study_file.read_text() + '[estimators]\nnames = ["backpropagation"]\n')
    code, _, error = tomolens(
        "study", study_file, "--cases", manifest(), "--model", tmp_path / "nan.safetensors", "--out", tmp_path / "r"
    )
    assert_one_line(
        code,
        error.strip().splitlines()[-1] + "\n",
        "every one of 8 cases failed; case c",
    )


def test_a_network_of_another_size_along_an_axis_is_refused(tmp_path):
    weights = tmp_path / "n.safetensors"
    arguments = arguments_for("resnet18", classes=3)
    save_weights(build("resnet18", classes=3), weights, "resnet18", {"size": [24, 32]}, arguments)
    settings = {"name": "x", "metrics": {"fill": 0.5}, "cases": {"size": [24, 32], "classes": ["a", "b", "c"]}}
    assert trained_classifier(weights, StudySettings.model_validate(settings)).output == "logits"
    for size, said in ((24, "24"), ([24, 40], r"\[24, 40\]")):
        with pytest.raises(SettingsError, match=rf"trained with cases.size = \[24, 32\], the study has {said}"):
            trained_classifier(weights, StudySettings.model_validate({"name": "x", "cases": {"size": size}}))


def test_a_network_without_training_cases_or_of_another_size(tomolens, tmp_path, manifest, study_file):
    weights = tmp_path / "n.safetensors"
    save_weights(build("resnet18"), weights, "resnet18", {"size": 24, "window": [-160.0, 240.0]})
    study_file.write_text(study_file.read_text() + '[estimators]\nnames = ["expected-gradients"]\n')
    arguments = ("study", study_file, "--cases", manifest(), "--model", weights, "--out", tmp_path / "r")
    code, _, error = tomolens(*arguments)
    assert_one_line(code, error.strip().splitlines()[-1] + "\n", "expected-gradients draws training images")
    save_weights(build("resnet18"), weights, "resnet18", {"size": 32})
    code, _, error = tomolens(*arguments)
    assert_one_line(code, error, "trained with cases.size = 32, the study has 24")
    assert not (tmp_path / "r").exists()


def test_an_unknown_estimator_with_the_nearest_name(tomolens, tmp_path):
    file = tmp_path / "study.toml"
    file.write_text('name = "x"\n[estimators]\nnames = ["integrated-gradient"]\n')
    code, _, error = tomolens("study", file, "--out", tmp_path / "r")
    assert_one_line(code, error, "did you mean 'integrated-gradients'?")


def test_a_folder_that_holds_another_study(tomolens, tmp_path, finished_study, study_file, manifest):
    code, _, error = tomolens("study", study_file, "--cases", manifest(), "--out", finished_study[0])
    assert_one_line(code, error.strip().splitlines()[-1] + "\n", "holds another study, which differs in cases.count")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("study", "none.toml"), "none.toml: cannot be read"),
        (("study", "--cases", "none.csv"), "--cases needs a study file"),
        (("study", "--device", "abacus"), "device 'abacus'"),
        (("report", "nowhere"), "no study to read"),
        (("study", "--model", "none.safetensors"), "none.safetensors: no such file"),
    ],
)
def test_wrong_arguments(tomolens, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, error = tomolens(*arguments)
    assert_one_line(code, error, message)
    assert not (tmp_path / "results").exists()


def test_options_that_do_not_exist_exit_with_two(tomolens):
    code, _, error = tomolens("study", "--fast")
    assert code == 2
    assert "No such option" in error


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [(KeyboardInterrupt(), 130, "the same command goes on"), (OSError(28, "No space left on device"), 2, "No space")],
)
def test_ctrl_c_and_a_full_disk(tomolens, monkeypatch, tmp_path, fault, code, words):
    def fail(*_, **__):
        raise fault

    monkeypatch.setattr("tomolens.api.run_study", fail)
    given, _, error = tomolens("study", "--out", tmp_path / "r")
    assert given == code
    assert words in error
    assert "Traceback" not in error


def test_report_prints_the_three_tables_and_the_place(tomolens, finished_study):
    out, _ = finished_study
    page = (out / "report.html").read_bytes()
    code, printed, _ = tomolens("report", out)
    assert code == 0
    for words in ("Fidelity F × 10", "AUC", "Dice at the mask's share", "SmoothGrad squared", "Kendall"):
        assert words in printed
    assert printed.strip().endswith(str((out / "report.html").resolve()))
    assert (out / "report.html").read_bytes() == page


def test_train_writes_weights(tomolens, tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text(
        'name = "x"\n[cases]\nsource = "phantom"\nsize = 32\ntrain = 20\n'
        '[classifier.recipe]\narchitecture = "resnet18"\nepochs = 1\nbatch_size = 8\n'
    )
    code, printed, _ = tomolens("train", file, "--out", tmp_path / "n.safetensors")
    assert code == 0
    assert "validation_accuracy" in printed
    _, notes = load_weights(tmp_path / "n.safetensors")
    assert notes["cases"] == 20
    assert notes["size"] == 32


@pytest.mark.parametrize(
    ("place", "message"),
    [("folder", "is a folder, expected a file to write"), ("file/n.safetensors", "cannot be written")],
)
def test_a_place_that_cannot_be_written_is_told_before_training(tomolens, tmp_path, monkeypatch, place, message):
    monkeypatch.setattr("tomolens.study.networks.train", None)  # whoever trains first fails otherwise
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    code, _, error = tomolens("train", "--out", tmp_path / place)
    assert_one_line(code, error, message)
    code, _, error = tomolens("study", "--out", tmp_path / "file" / "results")
    assert_one_line(code, error.strip().splitlines()[-1] + "\n", "cannot be written")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder"]


def test_train_never_takes_up_a_stranger_s_pretraining(tomolens, tmp_path):
    recipe = 'architecture = "resnet18"\nepochs = 1\nbatch_size = 8\n'
    file = tmp_path / "recipe.toml"
    file.write_text(
        f'name = "x"\n[cases]\nsource = "phantom"\nsize = 32\ntrain = 20\n[classifier.recipe]\n{recipe}'
        f"[classifier.pretraining]\ncases = 12\n[classifier.pretraining.recipe]\n{recipe}"
    )
    stranger = tmp_path / "pretrained.safetensors"
    stranger.write_bytes(b"of another study")
    code, _, _ = tomolens("train", file, "--out", tmp_path / "n.safetensors")
    assert code == 0
    assert stranger.read_bytes() == b"of another study"
    assert {path.name for path in tmp_path.glob("*.safetensors")} == {"n.safetensors", "pretrained.safetensors"}


def test_estimators_are_listed_with_their_sources(tomolens):
    code, printed, _ = tomolens("estimators")
    assert code == 0
    groups = [line for line in printed.splitlines() if line.endswith(":")]
    listed = [line for line in printed.splitlines() if line not in groups]
    assert groups == [f"{name}:" for name in GROUPS]
    assert [line.split()[0] for line in listed] == list(ESTIMATORS)
    assert len(listed) >= 36
    assert all("arXiv" in line or "doi" in line for line in listed)


def test_help_and_names_do_not_load_torch():
    program = "import sys, tomolens, tomolens.cli; dir(tomolens); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_study_that_neither_builds_nor_trains_does_not_load_monai():
    """It takes longer than all the rest of a second call."""
    program = (
        "import sys, tomolens.api, tomolens.classifier.training\n"
        "from tomolens.classifier.architectures import build, require_arguments\n"
        "require_arguments('monai:ViT', {}); require_arguments('local', {'width': 4}); build('local')\n"
        "assert 'monai' not in sys.modules\n"
        "build('resnet18'); assert 'monai' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_every_public_name_is_there():
    import tomolens

    for name in tomolens.__all__:
        assert getattr(tomolens, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'saliency'"):
        _ = tomolens.saliency


BAD_INDEXES = {
    "source": (["pacs", "."], "source 'pacs', expected one of dicom, folder, lidc-idri, lndb, tcga"),
    "no folder": (["dicom", "nowhere"], "nowhere: no such file or folder"),
    "slices": (["dicom", ".", "--slices", "most"], "slices 'most', expected all, every=N"),
    "on error": (["dicom", ".", "--on-error", "cry"], "on-error 'cry', expected skip or stop"),
    "classes": (["dicom", ".", "--classes", "a,b"], "classes a, b: only a CSV of labels (--labels) tells them apart"),
    "nothing": (["dicom", "."], "no cases found: no CT images there"),
    "no classes": (["folder", "."], "expected one sub-folder for each of at least two classes, there are: none"),
    "labels": (["dicom", ".", "--labels", "none.csv"], "none.csv: no such file"),
}


@pytest.mark.parametrize("fault", BAD_INDEXES)
def test_indexes_that_cannot_be(tomolens, tmp_path, monkeypatch, fault):
    monkeypatch.chdir(tmp_path)
    arguments, message = BAD_INDEXES[fault]
    code, _, error = tomolens("cases", "index", *arguments)
    assert_one_line(code, error.strip().splitlines()[-1] + "\n", message)
    assert list(tmp_path.iterdir()) == []


def test_an_index_tells_what_it_found(tomolens, tmp_path):
    write_series(tmp_path / "scans" / "a", body(), ContrastBolusAgent="IOHEXOL")
    write_series(tmp_path / "scans" / "b", body(seed=1), PatientID="B")
    code, out, _ = tomolens(
        "cases", "index", "dicom", tmp_path / "scans", "--slices", "every=3", "--out", tmp_path / "cases.csv"
    )
    assert code == 0
    assert "4 cases of 2 scans of 2 patients, 0 with a mask" in out
    assert "1 x ContrastBolusAgent 'IOHEXOL': 1" in out
    assert (tmp_path / "cases.csv").read_text().startswith("case,image,label,patient,scan,position\n")


def test_a_download_can_be_weighed_first(tomolens, monkeypatch, tmp_path):
    monkeypatch.setattr(download, "client", StandIn)
    code, out, _ = tomolens("cases", "download", "lidc-idri", "--out", tmp_path / "d", "--dry-run", "--patients", "2")
    assert (code, out) == (0, "lidc-idri: 2 CT series of 2 patients, 200 MB\n")
    assert not (tmp_path / "d").exists()


def test_downloads_need_their_extra(tomolens, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "idc_index", None)
    code, _, error = tomolens("cases", "download", "lidc-idri", "--out", tmp_path)
    assert_one_line(code, error, "downloads need the extra: pip install 'tomolens[download]'")


def test_a_folder_of_classes_is_a_study(tomolens, tmp_path):
    for number in range(14):
        name = ("plain", "contrast")[number % 2]
        write_series(tmp_path / "data" / name / str(number), body(2, 24, 24, seed=number), PatientID=f"p{number}")
    (tmp_path / "data" / "plain" / "bad.dcm").write_text("nothing")
    text = 'name = "f"\nexamples = 0\n[cases]\nsize = 24\nfolds = 2\n'
    text += '[classifier.recipe]\narchitecture = "resnet18"\nepochs = 1\nbatch_size = 2\n'
    text += '[estimators]\nnames = ["random"]\n[metrics]\nnames = ["fidelity"]\nsteps = 2\n'
    (tmp_path / "s.toml").write_text(text)
    arguments = ("study", tmp_path / "s.toml", "--cases", tmp_path / "data", "--out", tmp_path / "r")
    code, _, error = tomolens(*arguments)
    last = error.strip().splitlines()[-1] + "\n"
    assert_one_line(
        code, last, 'its sub-folders are contrast and plain: give the study cases.classes = ["contrast", "plain"]'
    )
    (tmp_path / "s.toml").write_text(text.replace("[cases]\n", '[cases]\nclasses = ["plain", "contrast"]\n'))
    code, out, error = tomolens(*arguments)
    assert code == 0, error
    assert "report:" in out


def test_a_dry_run_says_what_a_study_takes_and_writes_nothing(tomolens, manifest, study_file, tmp_path):
    out = tmp_path / "r"
    code, printed, _ = tomolens("study", study_file, "--cases", manifest(), "--out", out, "--dry-run")
    assert code == 0
    assert "cases to explain   8" in printed
    assert "expected time" in printed
    assert not out.exists()
