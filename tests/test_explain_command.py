"""`tomolens explain`: one command from a scan to files, with trust, resumed, and one line where something is wrong."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

import ct_files as files
from tomolens.api import Study
from tomolens.cases import CaseEntry, MaskChoice
from tomolens.cases.files import FileReader
from tomolens.errors import SettingsError
from tomolens.estimators.registry import make_estimator
from tomolens.export.explain_scan import explain_scan
from tomolens.export.given import read_network
from tomolens.export.request import Request, folders_of, formats_of
from tomolens.export.trust import read_trust
from tomolens.export.write import explain_into
from tomolens.findings.verdict import Check
from tomolens.study.settings import StudySettings

CONTENT = {
    "name": "of the same network",
    "examples": 0,
    "batch_size": 8,
    "cases": {"source": "phantom", "train": 16, "test": 14, "size": 32},
    "classifier": {"recipe": {"architecture": "local", "arguments": {"width": 4}, "epochs": 1, "batch_size": 8}},
    "estimators": {
        "names": ["backpropagation", "smoothgrad-squared"],
        "parameters": {"smoothgrad-squared": {"samples": 4}},
    },
    "metrics": {"names": ["fidelity"], "steps": 4},
    "statistics": {"resamples": 100},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A study with its network, and a scan."""
    folder = tmp_path_factory.mktemp("explain")
    Study.of(StudySettings.model_validate(CONTENT)).run(folder / "results", workers=1)
    files.write_series(folder / "scan", files.body())
    files.write_volume(folder / "other.nii.gz", files.body(seed=1))
    return folder


def weights(place):
    return place / "results" / "weights" / "fold-0.safetensors"


def test_files_that_say_all_of_it(tomolens, place, tmp_path):
    code, out, err = tomolens(
        "explain", place / "scan", place / "other.nii.gz", "--model", weights(place), "--estimator", "backpropagation",
        "--slices", "1-2", "--out", tmp_path / "maps", "--json",
    )  # fmt: skip
    assert code == 0, err
    said = json.loads(out.splitlines()[-1])
    assert set(said["done"]) == {str(place / "scan"), str(place / "other.nii.gz")}
    folder = tmp_path / "maps" / "scan"
    report = json.loads((folder / "explain.json").read_text())
    assert report["classes"] == ["without contrast", "with contrast"]
    assert report["slices"] == [1, 2]
    assert np.array(report["probabilities"]).sum(axis=1) == pytest.approx([1, 1])
    assert report["network"]["takes"] == "-160 to 240 HU, 32 x 32 pixels"
    assert report["versions"]["tomolens"]
    files_of = report["maps"]["backpropagation"]["files"]
    assert sorted(files_of) == sorted(file.name for file in folder.iterdir() if file.name != "explain.json")
    assert report["files"] == {name: (folder / name).stat().st_size for name in files_of}
    assert {one.name for one in (tmp_path / "maps").iterdir()} == {"scan", "other"}  # nothing half done is left
    assert report["maps"]["backpropagation"]["trust"] == "trust not assessed"
    assert "not for diagnosis" in report["maps"]["backpropagation"]["use"]
    assert np.abs(np.asarray(nib.load(folder / "backpropagation.nii.gz").dataobj)).max() > 0
    with Image.open(folder / "backpropagation-slice-0001.png") as picture:
        assert picture.mode == "RGB"
        assert np.asarray(picture).std() > 10


def test_what_is_done_is_not_done_again(tomolens, place, tmp_path):
    asked = ["explain", place / "scan", "--model", weights(place), "--slices", "1", "--out", tmp_path, "--quiet"]
    assert tomolens(*asked)[0] == 0
    report = tmp_path / "scan" / "explain.json"
    before = report.stat().st_mtime_ns
    assert tomolens(*asked)[0] == 0
    assert report.stat().st_mtime_ns == before
    assert tomolens(*asked, "--seed", 1)[0] == 0
    assert report.stat().st_mtime_ns > before
    before = report.stat().st_mtime_ns
    next((tmp_path / "scan").glob("*.nii.gz")).unlink()
    assert tomolens(*asked, "--seed", 1)[0] == 0
    assert report.stat().st_mtime_ns > before  # what it names is gone
    assert list((tmp_path / "scan").glob("*.nii.gz"))


def test_a_scan_that_fails_is_told_and_the_others_are_done(tomolens, place, tmp_path):
    (tmp_path / "broken.nii.gz").write_bytes(b"nothing")
    code, _, err = tomolens(
        "explain", tmp_path / "broken.nii.gz", place / "scan", "--model", weights(place), "--slices", "1",
        "--out", tmp_path / "maps", "-q",
    )  # fmt: skip
    assert code == 3
    assert "broken.nii.gz" in err
    assert (tmp_path / "maps" / "scan" / "explain.json").exists()
    code, _, err = tomolens("explain", tmp_path / "gone", "--model", weights(place), "--out", tmp_path / "m", "-q")
    assert code == 2
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--format", "jpeg"), "format 'jpeg', expected some of"),
        (("--format", ","), "no format"),
        (("--estimator", "smoothgrid"), "did you mean"),
        (("--class", "maybe"), "expected one of without contrast"),
        (("--trust", "nowhere"), "nowhere"),
        (("--device", "cuda:9"), "cuda"),
        (("--label", "nodule"), "classes and no labels"),
        (("--slices", "5-2"), "numbers that rise"),
        (("--slices", "some"), "expected all, every=N, count=N, or numbers as 3,10-14"),
        (("--slices", "largest-mask"), "has no mask"),
        (("--slices", "0-999999999"), "has 6, 0"),
        (("--estimator", "random"), "never looks at the network"),
        (("--estimator", "centre-prior"), "never looks at the network"),
    ],
)
def test_wrong_words_are_one_line(tomolens, place, tmp_path, options, words):
    code, _, err = tomolens("explain", place / "scan", "--model", weights(place), "--out", tmp_path, "-q", *options)
    assert code == 2
    assert words in err
    assert "Traceback" not in err


def test_trust_goes_with_the_map_and_bad_maps_stay(place, tmp_path):
    network = read_network(weights(place))
    trust = read_trust(place / "results", network)
    squared = make_estimator("smoothgrad-squared", samples=4)
    asked = Request(network, (make_estimator("backpropagation"), squared), ("nifti",), slices="1", trust=trust)
    cards = dict(trust.cards)
    passed, failed = (Check("faithful", state) for state in ("passed", "failed"))
    cards[repr(squared)] = replace(cards[repr(squared)], checks=(passed,))
    cards["Backpropagation()"] = replace(cards["Backpropagation()"], checks=(failed, Check("expert", "passed")))
    made = replace(asked, trust=replace(trust, cards=cards))
    report = explain_into(tmp_path / "a", place / "scan", made)
    assert list(report["maps"]) == ["smoothgrad-squared(samples=4)"]
    line = report["maps"]["smoothgrad-squared(samples=4)"]["trust"]
    form = ", of its absolute values" if cards[repr(squared)].form == "absolute" else ""
    assert line == f"to be believed by study “of the same network”{form} (faithful: passed)"
    assert report["withheld"]["backpropagation"].startswith("NOT TO BE BELIEVED by study")
    assert not (tmp_path / "a" / "backpropagation.nii.gz").exists()
    report = explain_into(tmp_path / "b", place / "scan", replace(made, trust=None))
    assert (tmp_path / "b" / "backpropagation.nii.gz").exists()
    explain_into(tmp_path / "b", place / "scan", made)
    assert not (tmp_path / "b" / "backpropagation.nii.gz").exists()  # nothing stays of an earlier request
    report = explain_into(tmp_path / "b", place / "scan", replace(made, anyway=True))
    assert "NOT TO BE BELIEVED" in json.loads((tmp_path / "b" / "backpropagation.json").read_text())["trust"]
    other = replace(made, estimators=(make_estimator("smoothgrad-squared"),))
    report = explain_into(tmp_path / "c", place / "scan", other)
    assert "did not measure smoothgrad-squared" in report["maps"]["smoothgrad-squared"]["trust"]  # of 15 samples


def test_the_cards_of_another_network_say_nothing(place, tmp_path):
    content = {**CONTENT, "seed": 1, "metrics": {"names": ["fidelity"], "steps": 2}}
    Study.of(StudySettings.model_validate(content)).run(tmp_path / "r", workers=1)
    network = read_network(weights(place))
    with pytest.raises(SettingsError, match="of another network"):
        read_trust(tmp_path / "r", network)
    with pytest.raises(SettingsError):
        read_trust(tmp_path / "nowhere", network)
    with pytest.raises(SettingsError, match="tells without contrast, with contrast apart"):
        read_trust(place / "results", replace(network, classes=("healthy", "ill")))
    with pytest.raises(SettingsError, match="takes something else"):
        read_trust(place / "results", replace(network, known_as={**network.known_as, "input": "another window"}))
    with pytest.raises(SettingsError, match="is of the label"):
        read_trust(place / "results", replace(network, label="nodule"))
    shutil.copytree(place / "results", tmp_path / "damaged")
    for content in ("[]", "{}", '{"cards": [{"estimator": "other"}]}', "nothing"):
        (tmp_path / "damaged" / "verdict.json").write_text(content)
        with pytest.raises(SettingsError):
            read_trust(tmp_path / "damaged", network)


def test_formats():
    assert formats_of("nifti, png,nifti") == ("nifti", "png")


def test_dicom_of_dicom(tomolens, place, tmp_path):
    asked = ["explain", place / "scan", "--model", weights(place), "--estimator", "backpropagation", "--slices", "1-2"]
    code, _, err = tomolens(*asked, "--format", "dicom,png", "--out", tmp_path / "maps", "-q")
    assert code == 0, err
    folder = tmp_path / "maps" / "scan"
    report = json.loads((folder / "explain.json").read_text())
    names = {
        f"backpropagation-{kind}.dcm" for kind in ("map", "display", "top", "regions", "capture-0001", "capture-0002")
    }
    assert {name for name in report["maps"]["backpropagation"]["files"] if name.endswith(".dcm")} == names
    source = pydicom.dcmread(sorted((place / "scan").iterdir())[0])
    for name in names:
        written = pydicom.dcmread(folder / name)
        assert written.StudyInstanceUID == source.StudyInstanceUID
        assert written.SeriesInstanceUID != source.SeriesInstanceUID
    captures = [pydicom.dcmread(folder / f"backpropagation-capture-{number:04d}.dcm") for number in (1, 2)]
    assert captures[0].SeriesInstanceUID == captures[1].SeriesInstanceUID
    with Image.open(folder / "backpropagation-slice-0001.png") as picture:
        np.testing.assert_array_equal(captures[0].pixel_array, np.asarray(picture))
    shown = [one.SourceImageSequence[0].ReferencedSOPInstanceUID for one in captures]
    by_place = {
        one.SOPInstanceUID: float(one.ImagePositionPatient[2])
        for one in map(pydicom.dcmread, (place / "scan").iterdir())
    }
    heights = sorted(by_place.values())
    assert [by_place[uid] for uid in shown] == heights[1:3]  # slices are counted from the feet


def test_anonymous_dicom_names_nobody(tomolens, place, tmp_path):
    code, _, err = tomolens(
        "explain", place / "scan", "--model", weights(place), "--estimator", "backpropagation", "--slices", "1",
        "--format", "dicom", "--anonymous", "--out", tmp_path, "-q",
    )  # fmt: skip
    assert code == 0, err
    source = pydicom.dcmread(next((place / "scan").iterdir()))
    for file in (tmp_path / "scan").glob("*.dcm"):
        assert str(source.PatientID).encode() not in file.read_bytes()
        assert str(source.StudyInstanceUID).encode() not in file.read_bytes()


def test_dicom_of_something_else_is_refused_before_anything_is_explained(tomolens, place, tmp_path):
    code, _, err = tomolens(
        "explain", place / "other.nii.gz", "--model", weights(place), "--format", "dicom", "--out", tmp_path, "-q"
    )
    assert code == 2
    assert "is of DICOM scans" in err


def test_maps_of_another_scan_are_never_taken_for_these(tomolens, place, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        files.write_volume(tmp_path / name / "ct.nii.gz", files.body(seed=ord(name)))
    asked = ["--model", weights(place), "--slices", "1", "--format", "nifti", "--out", tmp_path / "maps", "-q"]
    assert tomolens("explain", tmp_path / "a" / "ct.nii.gz", *asked)[0] == 0
    code, _, err = tomolens("explain", tmp_path / "b" / "ct.nii.gz", *asked)
    assert code == 2
    assert "holds maps of another scan" in err
    both = [tmp_path / name / "ct.nii.gz" for name in ("b", "a")]
    code, _, err = tomolens("explain", *both, *asked)
    assert code == 3  # b would lie in a's folder, and a in a new one
    (tmp_path / "full" / "ct").mkdir(parents=True)
    (tmp_path / "full" / "ct" / "thesis.txt").write_text("years of work")
    code, _, err = tomolens("explain", both[0], *asked[:-2], tmp_path / "full", "-q")
    assert code == 2
    assert "holds something else" in err
    assert (tmp_path / "full" / "ct" / "thesis.txt").exists()


def test_what_is_not_of_the_maps_is_never_touched(tomolens, place, tmp_path):
    asked = ["explain", place / "scan", "--model", weights(place), "--slices", "1", "--format", "nifti", "-q"]
    beside = tmp_path / "scan.partial"
    beside.mkdir()
    (beside / "thesis.txt").write_text("years of work")
    assert tomolens(*asked, "--out", tmp_path)[0] == 0
    assert tomolens(*asked, "--out", tmp_path, "--seed", 1)[0] == 0
    assert (beside / "thesis.txt").exists()
    mine = tmp_path / "scan" / "notes.txt"
    mine.write_text("what I saw")
    assert tomolens(*asked, "--out", tmp_path, "--seed", 1)[0] == 0  # nothing to write
    code, _, err = tomolens(*asked, "--out", tmp_path, "--seed", 2)
    assert (code, mine.read_text()) == (2, "what I saw")
    assert "holds notes.txt, which is not of its maps" in err
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "scan").symlink_to(tmp_path / "elsewhere")
    code, _, err = tomolens(*asked, "--out", tmp_path / "linked")
    assert code == 2
    assert "is a file or a link" in err
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_folder_comes_back_where_another_cannot_take_its_place(tomolens, place, tmp_path, monkeypatch):
    asked = ["explain", place / "scan", "--model", weights(place), "--slices", "1", "--format", "nifti", "-q"]
    assert tomolens(*asked, "--out", tmp_path)[0] == 0
    before = (tmp_path / "scan" / "explain.json").read_text()
    replaced = os.replace

    def full(source, target):
        if Path(source).name == "made":
            raise OSError(28, "No space left on device")
        replaced(source, target)

    monkeypatch.setattr(os, "replace", full)
    code, _, err = tomolens(*asked, "--out", tmp_path, "--seed", 1)
    assert code == 2
    assert "cannot be written" in err
    assert "No space left on device" in err
    assert (tmp_path / "scan" / "explain.json").read_text() == before


def test_what_weights_are_shown_is_part_of_what_they_are(place, tmp_path):
    with safe_open(weights(place), "pt") as file:
        notes, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    changed = next(name for name, value in notes.items() if "-160" in value)
    save_file(tensors, tmp_path / "wide.safetensors", {**notes, changed: notes[changed].replace("-160", "-1000")})
    network, wide = read_network(weights(place)), read_network(tmp_path / "wide.safetensors")
    assert wide.window != network.window
    assert wide.known_as == network.known_as
    assert wide.hash != network.hash  # so maps of one are not taken for maps of the other
    read_trust(place / "results", network)
    with pytest.raises(SettingsError, match="takes something else"):
        read_trust(place / "results", wide)


def test_weights_of_a_part_of_the_scan_and_of_volumes_are_shown_that(place, tmp_path):
    with safe_open(weights(place), "pt") as file:
        notes, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    def changed(name, **more):
        told = json.dumps(json.loads(notes["notes"]) | more)
        save_file(tensors, tmp_path / name, {**notes, "notes": told})
        return read_network(tmp_path / name)

    network, lungs = read_network(weights(place)), changed("lungs.safetensors", crop="lungs")
    assert (network.preprocessing((64, 64)).crop, lungs.preprocessing((64, 64)).crop) == (None, "lungs")
    assert lungs.hash != network.hash
    assert lungs.said.endswith("of the lungs alone")
    with pytest.raises(SettingsError, match="takes something else"):
        read_trust(place / "results", lungs)
    volumes = changed("volumes.safetensors", dimensions=3, size=32)
    assert (volumes.dimensions, volumes.size) == (3, (32, 32, 32))


def write_study(file, **cases):
    told = "".join(f"{name} = {json.dumps(value)}\n" for name, value in {"size": 48, "folds": 2, **cases}.items())
    file.write_text(f"name = 'by patches'\n[cases]\n{told}[classifier.patches]\nsize = 32\noverlap = 0.5\n")
    return file


def test_scans_are_shown_by_patches_as_a_study_shows_its_cases(place, tmp_path):
    file = write_study(tmp_path / "study.toml")
    whole, network = read_network(weights(place)), read_network(weights(place), study=file)
    assert (whole.size, network.size) == ((32, 32), (48, 48))
    assert network.said.endswith("48 x 48 pixels, by patches of 32, overlap 0.5, score mean, weights sum")
    assert network.hash != whole.hash
    explained = explain_scan(place / "scan", network, "backpropagation", slices="1", explained_class="1")
    reader = FileReader(network.preprocessing((1, 1)), MaskChoice())
    case = reader(CaseEntry("one", 0, "", str(place / "scan"), slice=1))
    inputs = torch.from_numpy(case.image)[None].requires_grad_()
    scores = [whole.classifier.class_scores(inputs[..., i : i + 32, j : j + 32]) for i in (0, 16) for j in (0, 16)]
    score = torch.stack(scores).mean(dim=0)
    np.testing.assert_allclose(explained.probabilities, score.sigmoid().detach(), atol=1e-5)  # of one neuron, -z and z
    (expected,) = torch.autograd.grad(score[0, 1], inputs)
    (found,) = torch.autograd.grad(network.classifier.class_scores(inputs)[0, 1], inputs)
    torch.testing.assert_close(found, expected)
    assert explained.maps["backpropagation"].explained.any()


def test_cards_of_whole_images_say_nothing_of_patches(place, tmp_path):
    file = write_study(tmp_path / "study.toml", size=32)
    whole, network = read_network(weights(place)), read_network(weights(place), study=file)
    with pytest.raises(SettingsError, match="takes something else"):
        read_trust(place / "results", network)
    content = {**CONTENT, "classifier": {"patches": {"size": 32, "overlap": 0.5}}}
    study = Study(StudySettings.model_validate(content), classifier=whole.classifier)
    study.run(tmp_path / "r", workers=1)
    assert read_trust(tmp_path / "r", network).cards
    words = "[cases]\nsize = [32, 32]\nfolds = 2\n[classifier.patches]\nsize = [32, 32]\noverlap = 0.5\nbatch = 8\n"
    (tmp_path / "alike.toml").write_text(f"name = 'in other words'\n{words}")
    alike = read_network(weights(place), study=tmp_path / "alike.toml")
    assert read_trust(tmp_path / "r", alike).cards
    (tmp_path / "other.toml").write_text(f"name = 'other'\n{words}score = 'max'\n")
    with pytest.raises(SettingsError, match="by other patches"):
        read_trust(tmp_path / "r", read_network(weights(place), study=tmp_path / "other.toml"))
    with pytest.raises(SettingsError, match="takes something else"):
        read_trust(tmp_path / "r", whole)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[cases]\nsize = 48\n", "no [classifier.patches]"),
        ("[classifier]\nnetwork = 'another.toml'\npatches = {size = 32}\n", "another network is given"),
        ("[cases]\nsize = 48\nwindow = [-1000, 400]\n[classifier.patches]\nsize = 32\n", "trained with cases.window"),
        ("[cases]\nclasses = ['a', 'b']\n[classifier.patches]\nsize = 32\n", "apart, and the network"),
        ("[cases]\nsize = 48\n[classifier.patches]\nsize = [32, 32, 32]\n", "3 lengths for images of 2 axes"),
    ],
)
def test_studies_that_do_not_say_how_a_scan_is_shown(tomolens, place, tmp_path, content, words):
    (tmp_path / "study.toml").write_text(f"name = 'by patches'\n{content}")
    asked = ("--model", weights(place), "--patches", tmp_path / "study.toml", "--out", tmp_path / "maps")
    code, _, err = tomolens("explain", place / "scan", *asked)
    assert code == 2
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_choices_are_said_where_they_were_assessed(place):
    trust = read_trust(place / "results", read_network(weights(place)))
    (parameters, card), *_ = trust.cards.items()
    shown = SimpleNamespace(parameters=parameters, estimator=card.estimator)
    assert "holds over choices" not in trust.of(shown)
    varied = replace(card, checks=(*card.checks, Check("choices", "failed")))
    assert "holds over choices: failed" in replace(trust, cards={parameters: varied}).of(shown)


def test_folders_are_told_apart(tmp_path, monkeypatch):
    asked = Request(None, ())  # of which nothing is asked here
    for name in ("p/x.nii.gz", "q/x.nii.gz", "x-2.nii.gz", "1.2.840.1", "1.2.840.2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    scans = [
        tmp_path / name for name in ("p/x.nii.gz", "q/x.nii.gz", "x-2.nii.gz", "1.2.840.1", "1.2.840.2", "p/x.nii.gz")
    ]
    found = folders_of(scans, tmp_path / "out", asked)
    assert [folder.name for _, folder in found] == ["x", "x-2", "x-2-2", "1.2.840.1", "1.2.840.2"]
    monkeypatch.chdir(tmp_path / "p")
    ((_, folder),) = folders_of([Path()], tmp_path / "out", asked)
    assert folder.name == "p"


def test_names_stay_out_of_what_is_anonymous(tomolens, place, tmp_path):
    scan = tmp_path / "DOE_JANE" / "SMITH_JOHN.nii.gz"
    scan.parent.mkdir()
    hu = files.body().astype(np.float64)
    hu[2] = -1000
    files.write_volume(scan, hu)
    code, _, _ = tomolens(
        "explain",
        scan,
        "--model",
        weights(place),
        "--format",
        "nifti,html",
        "--anonymous",
        "--out",
        tmp_path / "m",
        "-q",
    )
    assert code == 0
    linked = tmp_path / "MAYER_ANNA.nii.gz"
    linked.symlink_to(scan)
    code, _, _ = tomolens(
        "explain", linked, "--model", weights(place), "--format", "nifti,html", "--anonymous", "--out", tmp_path / "l",
        "-q",
    )  # fmt: skip
    assert code == 0
    written = [file for folder in "ml" for file in (tmp_path / folder).rglob("*") if file.is_file()]
    assert len(written) == 8
    for file in written:
        assert not {"DOE", "SMITH", "MAYER"} & {
            *str(file.relative_to(tmp_path)).replace("/", "_").replace(".", "_").split("_")
        }
        assert b"DOE_JANE" not in file.read_bytes()
        assert b"SMITH_JOHN" not in file.read_bytes()
        assert b"MAYER_ANNA" not in file.read_bytes()


def test_an_estimator_that_has_no_map_is_told(tomolens, place, tmp_path):
    code, out, err = tomolens(
        "explain", place / "scan", "--model", weights(place), "--estimator", "backpropagation",
        "--estimator", "expected-gradients", "--slices", "1", "--format", "nifti", "--out", tmp_path, "-q", "--json",
    )  # fmt: skip
    assert code == 3
    assert "left out: expected-gradients" in err
    (said,) = json.loads(out.splitlines()[-1])["done"].values()
    assert said["maps"] == ["backpropagation"]


def test_what_has_no_sign_is_not_said_to_speak_against(place, tmp_path):
    network = read_network(weights(place))
    pair = tuple(make_estimator("smoothgrad", samples=count) for count in (2, 3))
    asked = Request(network, (make_estimator("smoothgrad-squared", samples=2), *pair), ("nifti",), slices="1")
    report = explain_into(tmp_path / "a", place / "scan", asked)
    assert set(report["maps"]) == {"smoothgrad-squared(samples=2)", "smoothgrad(samples=2)", "smoothgrad(samples=3)"}
    assert "without a sign" in report["maps"]["smoothgrad-squared(samples=2)"]["units"]
    assert "speaks for" in report["maps"]["smoothgrad(samples=2)"]["units"]
