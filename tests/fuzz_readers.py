"""Damage files of every format at random and read them: only our own errors, no crash, no hang, bounded memory.

``python tests/fuzz_readers.py 3600`` fuzzes for an hour. Reading happens in a child process, so that a crash of a
decoder is seen and counted like any other finding.
"""

import json
import math
import multiprocessing
import resource
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

HANG = 120
"""Seconds after which reading a file of some kilobytes counts as a hang, on a machine however busy."""
LONGEST = 10
"""Seconds of processor time that reading one may take."""
MOST_MEMORY = 1 << 30
"""Bytes by which the process may grow."""


def samples(folder):
    """One small good file of each format, with the function that reads it."""
    import SimpleITK as sitk

    import ct_files as ct
    from tomolens.cases import MaskChoice
    from tomolens.cases.dicom.pixels import read_image
    from tomolens.cases.dicom.tree import read_tree
    from tomolens.cases.formats import read_volume
    from tomolens.cases.manifest import from_manifest
    from tomolens.cases.masks import read_mask
    from tomolens.cases.sources.labels import read_labels
    from tomolens.cases.stored import read_source

    hu = ct.body()
    series = ct.write_series(folder / "series", hu)
    image = read_source(folder / "series")
    plane = read_image(series[2])

    def tree(path):
        found = read_tree(path, lambda patient: patient, cached=False)
        return [header.place for header in found.headers]

    def mask(path, on=image):
        return read_mask([path], on, MaskChoice(resample=True))

    made = {"native": (ct.write_slice(folder / "native.dcm", hu[0]), read_image)}
    for name in ("RLELossless", "JPEGLSLossless", "JPEG2000Lossless", "JPEGLosslessProcess14_1"):
        path = ct.write_slice(folder / f"{name}.dcm", np.repeat(np.repeat(hu[0], 2, 0), 2, 1))
        made[name] = (ct.compress(path, getattr(ct, name, name)), read_image)
    made["enhanced"] = (ct.write_enhanced(folder / "enhanced.dcm", hu), read_image)
    made["header"] = (ct.write_slice(folder / "header.dcm", hu[0]), tree)
    for ending in ("nii", "nii.gz", "nrrd", "mha"):
        made[ending] = (ct.write_volume(folder / f"volume.{ending}", hu), read_volume)
        labels = (hu > 0).astype(np.uint8)
        made[f"mask.{ending}"] = (ct.write_volume(folder / f"labels.{ending}", labels, packed=False), mask)
    made["mhd"] = (ct.write_volume(folder / "volume.mhd", hu, packed=False), read_volume)
    sitk.WriteImage(sitk.GetImageFromArray((hu[0] > 0).astype(np.uint8)), str(folder / "labels.png"))
    made["png"] = (folder / "labels.png", lambda path: mask(path, plane))
    blob = np.zeros(hu.shape, bool)
    blob[1:4, 5:12, 6:15] = True
    made["seg"] = (ct.write_segmentation(folder / "seg.dcm", series, {"aorta": blob, "heart": ~blob}), mask)
    square = np.array([[-5, -15, 105], [3, -15, 105], [3, -8, 105], [-5, -8, 105]], float)
    made["rtstruct"] = (ct.write_structures(folder / "structures.dcm", series[0], {"heart": [square]}), mask)
    made["lidc"] = (ct.write_readings(folder / "readings.xml", "1.2", [[(105, True, [(2, 2), (9, 2), (9, 9)])]]), mask)
    region = {"label": "heart", "points": [[2, 2], [12, 2], [8, 12]], "hu_range": [-50, 500]}
    drawn = {"slices": {plane.instance: {"rows": 20, "columns": 24, "regions": [region]}}}
    (folder / "polygons.json").write_text(json.dumps(drawn))
    made["polygons"] = (folder / "polygons.json", lambda path: mask(path, plane))
    with zipfile.ZipFile(folder / "series.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in series[:3]:
            archive.write(path, path.name)
    made["zip"] = (folder / "series.zip", lambda path: (tree(path), read_source(path)))
    (folder / "cases.csv").write_text("case,image,label,patient,slice\na,volume.nii,1,p,2\nb,native.dcm,0,q,\n")
    made["manifest"] = (folder / "cases.csv", lambda path: list(from_manifest(path, keep_patients=True)))
    (folder / "labels.csv").write_text("patient,series,label\np,1.2.3,1\nq,1.2.4,without contrast\n")
    classes = ("without contrast", "with contrast")
    made["labels"] = (folder / "labels.csv", lambda path: read_labels(path, classes, lambda patient: patient))
    return made


def damage_strategy(length):
    """Hypothesis strategy: a list of edits of a file of ``length`` bytes, near its start more often than not."""
    from hypothesis import strategies as st

    place = st.one_of(st.integers(0, min(length - 1, 700)), st.integers(0, length - 1))
    extreme = st.sampled_from(
        [b"\0", b"\xff", b"\0\0", b"\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\xff" * 4, b"\0" * 8]
    )
    text = st.sampled_from([b"99999999", b"-1", b"1e300", b"nan", b"\\", b"\n", b"..", b"LOCAL", b"0"])
    edit = st.one_of(
        st.tuples(st.just("set"), place, st.one_of(extreme, text, st.binary(min_size=1, max_size=4))),
        st.tuples(st.just("flip"), place, st.integers(0, 7)),
        st.tuples(st.just("cut"), place, st.integers(1, 64)),
        st.tuples(st.just("insert"), place, st.binary(min_size=1, max_size=16)),
        st.tuples(st.just("repeat"), place, st.integers(1, 64)),
        st.tuples(st.just("end"), place, st.none()),
    )
    return st.lists(edit, min_size=1, max_size=6)


def damaged(content, edits):
    """``content`` after a list of edits."""
    for kind, place, what in edits:
        if kind == "set":
            content = content[:place] + what + content[place + len(what) :]
        elif kind == "flip" and place < len(content):
            content = content[:place] + bytes([content[place] ^ (1 << what)]) + content[place + 1 :]
        elif kind == "cut":
            content = content[:place] + content[place + what :]
        elif kind == "insert":
            content = content[:place] + what + content[place:]
        elif kind == "repeat":
            content = content[:place] + content[place : place + what] * 2 + content[place + what :]
        elif kind == "end":
            content = content[:place]
    return content


def child(folder, seconds, files, seed, report):
    """Fuzz until the time is over or so many files are read; every finding is a line of the report."""
    import warnings

    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from hypothesis.strategies import just

    from tomolens.errors import TomolensError

    warnings.simplefilter("ignore")
    folder = Path(folder)
    made = samples(folder)
    whole = {name: path.read_bytes() for name, (path, _) in made.items()}
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts = Counter()
    until = time.monotonic() + seconds
    names = sorted(made)

    def attempt(name, edits):
        path, read = made[name]
        counts[name] += 1
        victim = path.with_name(f"damaged-{path.name}")
        victim.write_bytes(damaged(whole[name], edits))
        report.put(("at", name, edits))
        started = time.process_time()
        try:
            read(victim)
            counts["read"] += 1
        except TomolensError:
            counts["refused"] += 1
        except Exception as error:
            report.put(("finding", name, f"{type(error).__name__}: {error}", edits))
        if time.process_time() - started > LONGEST:
            report.put(("finding", name, f"took {time.process_time() - started:.0f} s", edits))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) * 1024
        if grown > MOST_MEMORY:
            report.put(("finding", name, f"memory grew by {grown >> 20} MiB", edits))
            report.put(("done", dict(counts)))
            sys.exit(0)

    def over():
        return time.monotonic() >= until or counts["read"] + counts["refused"] >= files

    round_ = 0
    while not over():
        name = names[round_ % len(names)]
        plain = settings(
            max_examples=40,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        tried = partial(attempt, name)

        @seeded(seed * 1_000_003 + round_)
        @plain
        @given(damage_strategy(len(whole[name])), just(tried))
        def rounds(edits, tried):
            if not over():
                tried(edits)

        rounds()
        round_ += 1
    report.put(("done", dict(counts)))


def fuzz(seconds=math.inf, files=math.inf, seed=0):
    """Fuzz for so many seconds or files; returns the findings and how many files of each format were tried."""
    findings, counts = [], Counter()
    until = time.monotonic() + seconds
    context = multiprocessing.get_context("spawn")
    while time.monotonic() < until and counts["files"] < files:
        with tempfile.TemporaryDirectory() as folder:
            report = context.Queue()
            left = until - time.monotonic(), files - counts["files"]
            worker = context.Process(target=child, args=(folder, *left, seed, report))
            worker.start()
            last, seen, over = None, time.monotonic(), False
            while not over:
                try:
                    message = report.get(timeout=1)
                except Exception:
                    message = None
                if message is None:
                    if last is None and not worker.is_alive():
                        raise RuntimeError("the fuzzer itself failed; see its output above")
                    if time.monotonic() - seen > HANG + (60 if last is None else 0):
                        findings.append((last[1] if last else "start", "hang", last[2] if last else None))
                        worker.kill()
                        over = True
                    elif not worker.is_alive():
                        signal_number = -(worker.exitcode or 0)
                        named = signal.Signals(signal_number).name if signal_number > 0 else str(worker.exitcode)
                        findings.append((last[1] if last else "start", f"crash: {named}", last[2] if last else None))
                        over = True
                    continue
                seen = time.monotonic()
                if message[0] == "at":
                    last = message
                    counts["files"] += 1
                elif message[0] == "finding":
                    findings.append(message[1:])
                    print(message[1:], flush=True)
                else:
                    counts.update(message[1])
                    over = True
            worker.join()
        seed += 1
    return findings, counts


if __name__ == "__main__":
    found, tried = fuzz(float(sys.argv[1]), seed=int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(json.dumps(tried, indent=1, sort_keys=True))
    print(f"{len(found)} findings")
    for finding in found:
        print(finding)
