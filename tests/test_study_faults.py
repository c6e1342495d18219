"""What may befall a study: killed, stopped, disk full, workers that die, networks that break on some case."""

import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import quick_study as quick
from quick_study import quick_study, tables
from tomolens import api, explain
from tomolens.api import Study, verify_study
from tomolens.cases import Case, CaseEntry, Cases
from tomolens.classifier import Classifier, Intensity
from tomolens.classifier.quick import Quick
from tomolens.cli import app
from tomolens.errors import CaseError, NetworkError, SettingsError
from tomolens.estimators import Deconvolution
from tomolens.metrics.registry import METRICS
from tomolens.report.answer import audit_sentence, headline
from tomolens.report.words import summary
from tomolens.results import shards, writer
from tomolens.results.shards import BLOCK, Shards
from tomolens.results.store import Store
from tomolens.study import runner
from tomolens.study.executors import in_this_process
from tomolens.study.folds import folds_of
from tomolens.study.networks import Fitted, with_window
from tomolens.study.survey import survey
from tomolens.study.verify import largest_difference
from tomolens.study.work import Worker

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The tables of a study to which nothing happened."""
    out = tmp_path_factory.mktemp("undisturbed") / "r"
    quick_study().run(out, workers=1)
    return tables(out)


def finished(folder):
    """How many cases are kept, seen while another process writes: what vanishes in between is being replaced."""
    while True:
        try:
            return len(Shards(folder / "measurements").finished())
        except FileNotFoundError:
            continue


def test_killed_twenty_times_and_finished_with_the_same_bytes(tmp_path, undisturbed):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tomolens.api", "quick_study", "tomolens.study.runner", "tomolens.report"])
    draw, found = random.Random(5), [0]
    for turn in range(20):
        process = context.Process(target=quick.run_slowly, args=(tmp_path / "r",))
        process.start()
        if turn % 2:  # once another case is kept, or all is done
            while process.is_alive() and len(list(tmp_path.glob("r/measurements/*.parquet"))) <= found[-1]:
                time.sleep(0.001)
        time.sleep(draw.uniform(0.0, 0.1))
        process.kill()
        process.join()
        found.append(finished(tmp_path / "r"))
    assert found == sorted(found)  # nothing that was done is ever lost
    assert found[-1] >= 10  # every second one came after another case was kept
    quick_study("slow").run(tmp_path / "r", workers=1)
    assert tables(tmp_path / "r") == undisturbed


def test_shards_that_were_cut_off_are_done_again(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "BLOCK", 4)
    quick_study().run(tmp_path / "undisturbed", workers=1)
    monkeypatch.setattr(writer, "SECONDS", 0.0)
    out = tmp_path / "r"
    quick_study().run(out, workers=1)
    files = sorted((out / "measurements").iterdir())
    assert len(files) == 3  # joined, block by block
    files[1].write_bytes(files[1].read_bytes()[:500])
    with pytest.raises(SettingsError, match=r"damaged \(its content is not what was written\); run the study again"):
        Store(out).measurements()
    kept = {file: file.stat().st_mtime_ns for file in (files[0], files[2])}
    quick_study().run(out, workers=1)
    assert kept == {file: file.stat().st_mtime_ns for file in kept}
    assert sorted((out / "measurements").iterdir()) == files
    assert tables(out) == tables(tmp_path / "undisturbed")


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_do_not_show(tmp_path, undisturbed, workers):
    quick_study().run(tmp_path / "r", workers=workers)
    assert tables(tmp_path / "r") == undisturbed


def test_the_order_of_work_does_not_show(tmp_path, undisturbed):
    def backwards(job, indices, stopping):
        return in_this_process()(job, indices[::-1], stopping)

    class Backwards:
        def __enter__(self):
            return backwards

        def __exit__(self, *_):
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "_executor", lambda *_: Backwards())
        quick_study().run(tmp_path / "r")
    assert tables(tmp_path / "r") == undisturbed


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("raises", "ValueError: a network of one's own broke"),
        ("nan", "the network returned 1 values that are not finite"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_case_on_which_the_network_breaks_is_a_row(tmp_path, mood, reason, workers):
    findings = quick_study(mood, marked=(3,)).run(tmp_path / "r", workers=workers)
    assert findings.measured.failed["case"].tolist() == ["case-3"]
    assert reason in findings.measured.failed["note"][0]
    assert (findings.table("fidelity")["cases"] == 11).all()
    assert "1 of 12 cases failed and are not in the tables (case-3: " in summary(findings, width=300)
    # Mended and run again, the case is done and nothing else is.
    files = set((tmp_path / "r" / "measurements").iterdir())
    mended = quick_study("good", marked=(3,)).run(tmp_path / "r")
    assert len(mended.measured.failed) == 0
    assert (mended.table("fidelity")["cases"] == 12).all()
    assert len(set((tmp_path / "r" / "measurements").iterdir()) - files) == 1


def test_a_network_that_fails_on_every_case_ends_the_study(tmp_path):
    with pytest.raises(NetworkError, match="every one of 12 cases failed; case case-"):
        quick_study("raises", marked=range(12)).run(tmp_path / "r", workers=1)


def test_a_worker_that_dies_costs_nothing(tmp_path):
    study = quick_study("dies once", marked=(5,), folder=tmp_path)
    findings = study.run(tmp_path / "r", workers=2)
    assert (tmp_path / "died").exists()
    assert len(findings.measured.failed) == 0
    assert len(findings.measured.cases) == 12
    quick_study("good", marked=(5,)).run(tmp_path / "undisturbed", workers=1)
    assert tables(tmp_path / "r") == tables(tmp_path / "undisturbed")


def test_a_case_that_kills_its_workers_is_found_and_left_out(tmp_path):
    findings = quick_study("dies", marked=(5,)).run(tmp_path / "r", workers=2)
    assert findings.measured.failed["case"].tolist() == ["case-5"]
    assert findings.measured.failed["note"][0].startswith("the worker that evaluated it died, twice")


def test_batches_that_do_not_fit_are_halved(tmp_path):
    findings = quick_study("small memory").run(tmp_path / "r", workers=1)
    note = "batches of 8 did not fit in memory: 2"
    assert set(findings.measured.cases["note"]) == {note}
    assert f"12 cases went another way: {note}" in summary(findings, width=200)


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path, monkeypatch, undisturbed):
    monkeypatch.setattr(writer, "SECONDS", 0.0)
    durably, written = shards.write_durably, []

    def full(file, content):
        written.append(file)
        if len(written) >= 5:
            file.write_bytes(content[:100])
            raise OSError(28, "No space left on device")
        durably(file, content)

    monkeypatch.setattr(shards, "write_durably", full)
    with pytest.raises(
        SettingsError, match=r"cannot be written \(No space left on device\); all cases before are kept"
    ):
        quick_study().run(tmp_path / "r", workers=1)
    assert len(Store(tmp_path / "r").shards.finished()) == 4
    assert not list((tmp_path / "r" / "measurements").glob("*.partial"))
    monkeypatch.setattr(shards, "write_durably", durably)
    quick_study().run(tmp_path / "r", workers=1)
    assert tables(tmp_path / "r") == undisturbed


STOPPING = "stopping after the cases at work; Ctrl-C again stops now"


def interruptible(out, mood, workers, marked=()):
    """A study in another process, and what it says."""
    code = f"""
import signal, sys
sys.path.insert(0, {str(HERE)!r})
import conftest
from quick_study import quick_study
study = quick_study({mood!r}, count=40, marked={marked!r}, folder={str(out.parent)!r})
try:
    study.run({str(out)!r}, workers={workers}, progress=lambda *s: print(*s, flush=True))
except KeyboardInterrupt:
    sys.exit(130)
"""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)


def until(process, words):
    """Read what it says until a line has these words."""
    for line in process.stdout:
        if words in line:
            return
    pytest.fail(f"it ended and never said: {words}")


def press(process):
    """Ctrl-C, as a terminal does: to all processes."""
    os.killpg(process.pid, signal.SIGINT)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_once_finishes_what_is_at_work(tmp_path, workers):
    process = interruptible(tmp_path / "r", "slow", workers)
    until(process, "explaining and evaluating 2 ")
    press(process)
    until(process, STOPPING)
    process.stdout.read()
    assert process.wait() == 130
    done = Store(tmp_path / "r").shards.finished()
    assert 2 <= len(done) < 40
    assert done == set(range(len(done)))


def test_ctrl_c_twice_stops_now(tmp_path):
    process = interruptible(tmp_path / "r", "stuck", 1, marked=(4,))
    until(process, "explaining and evaluating 4 ")
    while not (tmp_path / "stuck").exists():  # on a case that takes for ever
        assert process.poll() is None
        time.sleep(0.01)
    press(process)
    until(process, STOPPING)
    press(process)
    process.stdout.read()
    assert process.wait() == 130
    assert Store(tmp_path / "r").shards.finished() == {0, 1, 2, 3}


def test_whoever_interrupts_the_writing_loses_nothing(tmp_path, monkeypatch, undisturbed):
    durably, calls = shards.write_durably, []

    def interrupting(file, content):
        calls.append(file)
        if len(calls) == 2:  # the first one is the study's description
            raise KeyboardInterrupt
        durably(file, content)

    monkeypatch.setattr(shards, "write_durably", interrupting)
    monkeypatch.setattr(writer, "SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        quick_study().run(tmp_path / "r", workers=1)
    assert len(Store(tmp_path / "r").shards.finished()) >= 1
    quick_study().run(tmp_path / "r", workers=1)
    assert tables(tmp_path / "r") == undisturbed


def test_maps_are_kept_on_request(tmp_path):
    zarr = pytest.importorskip("zarr", reason="the extra `maps` is not installed")
    quick_study(keep_maps=True).run(tmp_path / "r", workers=2)
    group = zarr.open_group(tmp_path / "r" / "maps.zarr", mode="r")
    assert group["backpropagation"].shape == (12, 1, 16, 16)
    assert group["backpropagation"].chunks == (1, 1, 16, 16)
    assert list(group.attrs["cases"]) == [f"case-{i}" for i in range(12)]
    study = quick_study()
    case = study.cases[7]
    wanted = explain(study.classifier, torch.from_numpy(case.image[None]), ["backpropagation"])["backpropagation"]
    np.testing.assert_allclose(group["backpropagation"][7], wanted[0].numpy(), atol=1e-6)


def test_what_does_not_show_in_the_numbers_may_change(tmp_path, undisturbed):
    quick_study().run(tmp_path / "r", workers=1)
    quick_study(keep_maps=True).run(tmp_path / "r", workers=1)
    assert tables(tmp_path / "r") == undisturbed


def test_another_precision_is_another_study(tmp_path):
    quick_study().run(tmp_path / "r", workers=1)
    with pytest.raises(SettingsError, match="another study"):
        quick_study(precision="fp32").run(tmp_path / "r", workers=1)


def test_blocks_bound_the_files(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "SECONDS", 0.0)
    quick_study(count=BLOCK + 2).run(tmp_path / "r", workers=1)
    files = sorted((tmp_path / "r" / "measurements").iterdir())
    assert [file.name.split("-")[0] for file in files] == ["0000000", "0000001"]


def test_tables_alone_as_csv_and_latex(tmp_path, undisturbed):
    quick_study(name="50 % of_all").run(tmp_path / "r", workers=1)
    for file in (tmp_path / "r" / "tables").iterdir():
        file.unlink()
    runner = CliRunner()
    assert runner.invoke(app, ["report", str(tmp_path / "r"), "--format", "csv"]).exit_code == 0
    assert tables(tmp_path / "r") == undisturbed
    done = runner.invoke(app, ["report", str(tmp_path / "r"), "--format", "latex"])
    assert done.output.strip().endswith("findings.tex")
    text = (tmp_path / "r" / "tables" / "findings.tex").read_text()
    assert "Mean with 95\\,\\% interval" in text
    rows = [line for line in text.splitlines() if line.startswith(("Backpropagation", "SmoothGrad", "Random"))]
    assert len(rows) == 4  # the square and random are their own absolute
    assert all(row.count("&") == 4 and row.endswith("\\\\") for row in rows)
    assert text.count("\\textbf") >= 3


def test_a_study_says_where_its_numbers_come_from(tmp_path):
    quick_study().run(tmp_path / "r", workers=1)
    said = Store(tmp_path / "r").description().raw
    assert len(said["settings_hash"]) == len(said["identity"]) == len(said["content"]["cases"]["hash"]) == 32
    assert len(said["networks"][0]["weights"]) == 32
    assert said["machine"]["device"] == "cpu"
    assert said["machine"]["name"]
    assert {"python", "torch", "tomolens"} <= set(said["versions"])
    assert said["commit"] is None or len(said["commit"].removesuffix("+changes")) == 40
    page = (tmp_path / "r" / "report.html").read_text()
    assert said["identity"] in page
    assert said["machine"]["name"] in page
    assert f"measured on {said['measured_on']}" in page


def test_the_day_of_a_study_is_that_of_its_last_case(tmp_path):
    study, store = quick_study(), Store(tmp_path / "r")
    study.run(store.folder, workers=1)
    said = store.description().raw
    assert abs((date.fromisoformat(said["measured_on"]) - datetime.now(UTC).date()).days) <= 1
    before = {**said, "measured_on": "2026-01-31"}
    store.write_description(before)
    study.run(store.folder, workers=1)  # nothing is left to measure
    assert store.description().raw == {**before, "format": said["format"]}
    store.write_description({name: value for name, value in before.items() if name != "measured_on"})
    study.run(store.folder, workers=1)  # of results of before nobody knows the day
    assert "measured_on" not in store.description().raw
    (next((store.folder / "measurements").glob("*"))).unlink()
    study.run(store.folder, workers=1)
    assert store.description().raw["measured_on"] == said["measured_on"]


def test_a_case_that_fails_again_does_not_move_the_day(tmp_path):
    study, store = quick_study("raises", marked=(3,)), Store(tmp_path / "r")
    study.run(store.folder, workers=1)
    store.write_description({**store.description().raw, "measured_on": "2026-01-31"})
    study.run(store.folder, workers=1)
    assert store.description().raw["measured_on"] == "2026-01-31"


def test_verify_computes_cases_again(tmp_path):
    study = quick_study()
    study.run(tmp_path / "r", workers=2)
    lines, same = verify_study(tmp_path / "r", study.cases, study.classifier)
    assert same
    assert lines[0].startswith("5 cases computed again: case-")
    rows = Store(tmp_path / "r").shards
    (block,) = rows.blocks()
    values = block["value"].to_pylist()
    place = next(i for i, name in enumerate(block["metric"].to_pylist()) if name == "auc")
    values[place] += 1e-9
    changed = block.set_column(block.schema.get_field_index("value"), "value", pa.array(values))
    for file in rows.folder.iterdir():
        file.unlink()
    rows.write([changed], range(12))
    store = Store(tmp_path / "r")
    store.write_description({**store.description().raw, "measurements": rows.names()})
    lines, same = verify_study(tmp_path / "r", study.cases, study.classifier, sample=12)
    assert not same
    assert lines[1] == "case case-0 differs, by at most 1e-09"
    with pytest.raises(SettingsError, match="these cases, or this network, are not those of the study"):
        verify_study(tmp_path / "r", study.cases.select(range(10)), study.classifier)


def test_failed_cases_are_exit_code_3(tmp_path, monkeypatch):
    study = quick_study("raises", marked=(3,))
    monkeypatch.setattr(api.Study, "from_toml", classmethod(lambda cls, *_, **__: study))
    runner = CliRunner()
    done = runner.invoke(app, ["study", "--out", str(tmp_path / "r"), "--workers", "1"])
    assert done.exit_code == 3, done.output
    assert "1 of 12 cases failed" in " ".join(done.output.split())
    again = runner.invoke(app, ["study", "--out", str(tmp_path / "r"), "--workers", "1", "--fresh"])
    assert (tmp_path / "r-2" / "report.html").exists()
    assert again.exit_code == 3


def test_a_metric_that_fails_costs_its_own_rows(tmp_path, monkeypatch):
    def fails(evaluand):
        yield next(iter(evaluand.rankings)), "auc", 0.5
        raise ZeroDivisionError("a metric of one's own broke")

    monkeypatch.setitem(METRICS, "roc", replace(METRICS["roc"], measure=fails))
    findings = quick_study(count=6).run(tmp_path / "r", workers=1)
    assert len(findings.measured.failed) == 0
    assert findings.table("roc").empty
    assert len(findings.table("fidelity")) > 0
    assert len(findings.table("overlap")) > 0
    rows = findings.measured.remarks
    assert set(rows["note"]) == {"roc: ZeroDivisionError: a metric of one's own broke"}
    assert len(rows) == 6
    text = (tmp_path / "r" / "report.html").read_text()
    assert "roc was not assessed in 6 of 6 cases: ZeroDivisionError" in unescape(text)


def test_an_estimator_that_fails_costs_its_own_rows(tmp_path):
    changed = {"estimators": {"names": ["backpropagation", "deconvolution", "random"]}}
    study = quick_study(count=6, **changed)
    network = nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.LeakyReLU(), nn.Linear(8, 1)).eval()
    findings = Study(study.settings, cases=study.cases, classifier=Classifier(network)).run(tmp_path / "r", workers=1)
    assert set(findings.table("fidelity")["estimator"]) == {"backpropagation", "random"}
    text = unescape((tmp_path / "r" / "report.html").read_text())
    assert "Deconvolution was not assessed in 6 of 6 cases: deconvolution needs ReLUs" in text
    assert "1 LeakyReLU" in text


def test_a_partial_rule_is_told(tmp_path):
    names = {"names": ["backpropagation", "deconvolution"], "parameters": {"deconvolution": {"partial": True}}}
    study = quick_study(count=6, estimators=names)
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(256, 8), nn.LeakyReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1)
    ).eval()
    Study(study.settings, cases=study.cases, classifier=Classifier(network)).run(tmp_path / "r", workers=1)
    text = unescape((tmp_path / "r" / "report.html").read_text())
    assert "Deconvolution, 6 of 6 cases: the rule covers 1 of 2 rectifiers; plain gradient through 1 LeakyReLU" in text


def test_volumes_are_measured_as_slices_are(tmp_path):
    entries = tuple(CaseEntry(f"v{i}", i % 2, f"p{i}") for i in range(6))

    def read(entry):
        random = np.random.default_rng(int(entry.name[1:]))
        image = (0.3 * random.random((1, 6, 8, 8)) + 0.4 * entry.label).astype(np.float32)
        return Case(entry.name, image, entry.label, entry.patient, random.random((6, 8, 8)) < 0.3)

    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 1))
    study = quick_study(count=6)
    findings = Study(study.settings, cases=Cases(entries, read), classifier=Classifier(network.eval())).run(
        tmp_path / "r", workers=1
    )
    assert len(findings.measured.failed) == 0
    assert len(findings.table("roc")) == len(findings.table("fidelity")) > 0
    assert len(findings.table("overlap")) == len(findings.table("roc"))
    assert "was not assessed" not in unescape((tmp_path / "r" / "report.html").read_text())


THREE = ("a", "b", "c")
CLASS_FAULTS = {
    "other classes": (THREE, ("a", "b"), (0, 1), 3, "the cases have 3 classes, cases.classes names 2"),
    "one label": (("a", "b"), ("a", "b"), (1, 1), 1, "the cases have the labels 1, expected at least two of 0 to 1"),
    "a label beyond": (THREE, THREE, (0, 3), 3, "the cases have the labels 0, 3, expected at least two of 0 to 2"),
    "a smaller network": (THREE, THREE, (0, 2), 1, "the network has 2 classes, cases.classes names 3"),
    "a larger network": (THREE, THREE, (0, 2), 5, "the network has 5 classes, cases.classes names 3"),
}


@pytest.mark.parametrize("fault", CLASS_FAULTS)
def test_classes_that_do_not_fit_are_refused_before_anything_is_computed(tmp_path, fault):
    of_cases, of_settings, labels, neurons, message = CLASS_FAULTS[fault]
    quick_ones = quick.quick_cases(8)
    entries = tuple(replace(entry, label=labels[entry.label]) for entry in quick_ones.entries)
    cases = Cases(entries, lambda entry: replace(quick_ones.read(replace(entry, label=0)), label=entry.label), of_cases)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(256, neurons)).eval()
    classifier = Classifier(network, "logit" if neurons == 1 else "logits")
    settings = quick_study(cases={"classes": of_settings}, metrics={"fill": "mean"}).settings
    with pytest.raises(SettingsError, match=message):
        Study(settings, cases=cases, classifier=classifier).run(tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_network_that_cannot_be_sent_to_workers_is_said_in_one_line(tmp_path):
    study, scripted = quick_study(), Classifier(torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(256, 1))))
    with pytest.raises(NetworkError, match="cannot be sent to other processes: use one worker"):
        Study(study.settings, cases=study.cases, classifier=scripted).run(tmp_path / "r", workers=2)
    assert (
        len(
            Study(study.settings, cases=study.cases, classifier=scripted).run(tmp_path / "r", workers=1).measured.failed
        )
        == 0
    )


def test_cases_out_of_the_networks_range_are_refused_before_anything_is_computed(tmp_path):
    study = quick_study()
    narrow = Classifier(study.classifier.network, intensity=Intensity(0.0, 0.2))
    words = r"case case-0: its pixels reach from 0 to 0.2.*, and the classifier takes 0 \(black\) to 0.2 \(white\)"
    with pytest.raises(CaseError, match=words):
        Study(study.settings, cases=study.cases, classifier=narrow).run(tmp_path / "r", workers=1)
    other = Classifier(study.classifier.network, intensity=Intensity(hounsfield=(-1000.0, 400.0)))
    with pytest.raises(
        SettingsError, match="the classifier takes -1000 to 400 HU, the study's cases.window is -160 to"
    ):
        Study(study.settings, cases=study.cases, classifier=other).run(tmp_path / "r", workers=1)


def test_a_baseline_that_cannot_be_drawn_is_named_in_tables_and_headline(tmp_path):
    findings = quick_study().run(tmp_path / "r", workers=1)
    missing = findings.table("baselines").query("not_drawn != ''")
    assert set(missing["baseline"]) == {"mean-mask"}
    assert set(missing["not_drawn"]) == {"no training cases"}
    assert set(missing["view"]) == set(findings.table("baselines")["view"])
    assert "Not drawn, so not beaten: atlas of the experts' masks (no training cases)." in headline(findings)


def test_numbers_without_enough_patients_have_no_interval_and_words_say_so(tmp_path):
    findings = quick_study().run(tmp_path / "r", workers=1)  # three patients of each class
    text = " ".join(summary(findings).split())
    assert "too few patients for an interval" in text
    assert "Too few patients for intervals and tests by fidelity" in text
    assert "nan" not in text
    assert findings.table("fidelity")["ci_low"].isna().all()
    assert findings.table("roc")["ci_low"].notna().all()  # not balanced: six patients in all
    page = (tmp_path / "r" / "report.html").read_text().split("<script")[0]
    assert not re.search(r"\bnan\b", page.lower())
    assert "fidelity" not in findings.critical_differences


def test_the_audit_is_stored_and_told(tmp_path):
    class Rough(nn.Module):
        def forward(self, x):
            return x.mean(dim=(1, 2, 3)) - 0.3

    study = quick_study(count=6, metrics={"steps": 40, "roc_points": 11})
    network = Classifier(Rough())
    plain = Study(study.settings, cases=study.cases, classifier=network).run(tmp_path / "plain", workers=1)
    assert "filled in between two of a curve that were decided alike" in audit_sentence(plain)
    exact = study.settings.model_copy(update={"precision": "fp32"})
    itself = Study(exact, cases=study.cases, classifier=network).run(tmp_path / "exact", workers=1)
    assert "all by the network itself" in audit_sentence(itself)
    quick_way = Quick("rough", lambda images: Rough()(images) + 0.001 * images[:, 0, 5, 5], 8)
    job = job_of_study(study, network)
    outcome = Worker(job, replace(job.classifier, quick=quick_way)).evaluate(0)
    rows = outcome.rows.to_pandas().set_index("metric")["value"]
    assert rows["decisions"] > rows["decisions_audited"] >= 8
    assert rows["decisions_differ"] == 0
    assert rows["decisions_asked"] >= 16
    assert (
        rows["decisions"]
        == rows[
            ["decisions_asked", "decisions_audited", "decisions_quick", "decisions_filled", "decisions_filled_audited"]
        ].sum()
    )
    rest = outcome.rows.filter(pc.invert(pc.starts_with(outcome.rows["metric"].cast(pa.string()), "decisions")))
    assert largest_difference(rest, Worker(job, job.classifier).evaluate(0).rows) == 0
    assert largest_difference(outcome.rows, Worker(job, job.classifier).evaluate(0).rows) == 0


def job_of_study(study, classifier):
    found = survey(study.cases)
    settings = study.settings
    fitted = Fitted(with_window(classifier, settings), {"source": "given"})
    (fold,) = folds_of(settings, found.cases, everything_held_out=True)
    return runner.job_of(settings, found, fold, fitted, runner.Resources(), (), 6)


def test_a_map_of_some_cases_is_neither_ranked_nor_does_it_shrink_the_others(tmp_path, monkeypatch):
    """Deconvolution fails in every case of class 0: it has numbers, no rank, and the others keep all of their cases."""
    whole = Deconvolution.explain

    def failing(estimator, subject):
        if (int(subject.name.split("-")[1]) // 2) % 2 == 0:
            raise NetworkError("not for dark images")
        return (yield from whole(estimator, subject))

    monkeypatch.setattr(Deconvolution, "explain", failing)
    names = {"names": ["backpropagation", "deconvolution", "random"]}
    findings = quick_study(count=24, estimators=names).run(tmp_path / "r", workers=1)
    values = findings.view_values.query("view == 'fidelity'").set_index(["estimator", "form"])
    assert set(values[values["partial"]].index.get_level_values(0)) == {"deconvolution"}
    assert values.loc[("deconvolution", "original"), "cases"] == 12
    ranks = findings.table("ranks").set_index(["estimator", "form"])
    assert ranks.loc[("deconvolution", "original"), "fidelity_rank"] != ranks.loc[("random", "both"), "fidelity_rank"]
    assert np.isnan(ranks.loc[("deconvolution", "original"), "fidelity_rank"])
    assert findings.compared["fidelity"].cases == 24
    assert {name for name, _ in findings.compared["fidelity"].maps} == {"backpropagation", "random"}
    assert findings.table("gains").query("view == 'fidelity'")["cases"].eq(24).all()
    sentences = headline(findings)
    assert not any(sentence.startswith("Deconvolution") for sentence in sentences)
    text = " ".join(summary(findings).split())
    assert "have numbers in 12 of 24 cases only, no rank, and no part in comparisons" in text
    assert "Deconvolution was not assessed in 12 of 24 cases: not for dark images" in text
