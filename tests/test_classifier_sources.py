"""Networks from files of every kind: the same maps from all of them, and nothing that a file brings is run."""

import copy
import io
import json
import os
import pickle
import re
import zipfile

import cloudpickle
import onnx
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

import network_files as files
import tomolens as tl
from tomolens.classifier import Classifier
from tomolens.classifier.contract import InputContract
from tomolens.classifier.identity import identity_of
from tomolens.classifier.network_file import NetworkFile
from tomolens.classifier.sources import KINDS, NetworkSource, kind_of, load_source
from tomolens.classifier.sources.declared_input import declared_input
from tomolens.errors import NetworkError, TomolensError

WRITERS = {
    "safetensors": files.write_safetensors,
    "state-dict": files.write_state_dict,
    "exported": files.write_exported,
    "torchscript": files.write_torchscript,
    "onnx": files.write_onnx,
    "bundle": files.write_bundle,
    "factory": files.write_factory,
}


def source_of(kind, place):
    if kind in ("safetensors", "state-dict"):
        return NetworkSource.of(kind, place, "monai:DenseNet", files.DENSENET)
    return NetworkSource.of(kind, place, "network" if kind == "factory" else "")


@pytest.fixture(scope="module")
def network():
    return files.small_network()


@pytest.fixture(scope="module")
def written(tmp_path_factory, network):
    """The same network in a file of every kind."""
    places = {}
    for kind, write in WRITERS.items():
        folder = tmp_path_factory.mktemp(kind)
        places[kind] = write(network, folder)
    return places


def test_every_kind_is_written_here(written):
    assert set(written) | {"hugging-face"} == set(KINDS)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_is_known_by_what_it_is(written, kind):
    assert kind_of(written[kind]) == kind


@pytest.mark.parametrize("kind", WRITERS)
def test_the_same_network_by_every_route_has_the_same_maps(written, network, kind):
    images = files.example()
    classifier = NetworkFile(source_of(kind, written[kind])).classifier()
    wanted = Classifier(network, "logits")
    torch.testing.assert_close(classifier.class_scores(images), wanted.class_scores(images), rtol=0, atol=1e-5)
    names = ["backpropagation", "deconvolution", "integrated-gradients", "smoothgrad"]
    if classifier.forward_only:
        with pytest.raises(NetworkError, match="the network gives no gradients: onnxruntime computes scores"):
            tl.explain(classifier, images, names)
        return
    found, known = (tl.explain(one, images, names) for one in (classifier, wanted))
    for name in names:
        scale = float(known[name].abs().max())
        torch.testing.assert_close(found[name] / scale, known[name] / scale, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_sent_is_the_source_and_not_the_network(written, kind):
    classifier = NetworkFile(source_of(kind, written[kind]), InputContract(((-160.0, 240.0),), (32, 32))).classifier()
    images = files.example()
    wanted = classifier.class_scores(images)
    sent = cloudpickle.dumps(classifier)
    assert len(sent) < 3000
    assert torch.equal(pickle.loads(sent).class_scores(images), wanted)
    assert torch.equal(copy.deepcopy(classifier).class_scores(images), wanted)
    assert identity_of(pickle.loads(sent)) == identity_of(classifier)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_that_changed_since_is_refused(written, network, kind, tmp_path):
    place = WRITERS[kind](network, tmp_path)
    source = source_of(kind, place)
    changed = next(one for one in sorted(place.rglob("*")) if one.is_file()) if place.is_dir() else place
    changed.write_bytes(changed.read_bytes() + b" ")
    with pytest.raises(NetworkError, match="has changed since it was described"):
        load_source(source)


def test_another_network_is_another_identity(tmp_path):
    identities = []
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        for kind in ("onnx", "torchscript", "exported"):
            place = WRITERS[kind](files.small_network(seed), folder)
            identities.append(json.dumps(identity_of(NetworkFile(source_of(kind, place)).classifier()), sort_keys=True))
    assert len(set(identities)) == 6


def test_a_file_of_one_image_at_a_time_takes_any_number(network, tmp_path):
    classifier = NetworkFile(NetworkSource.of("exported", files.write_exported_of_one(network, tmp_path))).classifier()
    images = files.example(3)
    torch.testing.assert_close(classifier.class_scores(images), Classifier(network, "logits").class_scores(images))
    assert classifier.sourced.batch == 1


# Payloads


@pytest.fixture
def payload(tmp_path):
    """A file that exists as soon as anything of what is planted was run."""
    return tmp_path / "written-by-the-payload"


def test_the_payload_of_these_tests_writes(payload):
    pickle.loads(files.pickled(files.Writes(payload)))
    assert payload.exists()


def refused(kind, place, payload, message):
    with pytest.raises(TomolensError, match=message) as raised:
        load_source(source_of(kind, place))
    assert not payload.exists()
    assert str(place) in str(raised.value)


class Pickled(nn.Module):
    def forward(self, images):
        return images.mean(dim=(1, 2, 3))


@pytest.mark.parametrize("content", ["module", "payload", "payload beside weights", "legacy"])
def test_pickles_of_more_than_weights_are_not_read(tmp_path, network, payload, content):
    place = tmp_path / "network.pt"
    holds = {
        "module": Pickled(),
        "payload": files.Writes(payload),
        "payload beside weights": {**network.state_dict(), "more": files.Writes(payload)},
        "legacy": files.Writes(payload),
    }[content]
    torch.save(holds, place, _use_new_zipfile_serialization=content != "legacy")
    assert kind_of(place) == "state-dict"
    refused("state-dict", place, payload, "what else a pickle holds is not read, for it could run anything")


def test_a_pickle_by_another_name(tmp_path, payload):
    for kind, name, message in (
        ("safetensors", "n.safetensors", "not a safetensors file"),
        ("onnx", "n.onnx", "no ONNX file that can be run"),
        ("exported", "n.pt2", r"no \.pt2 archive"),
        ("torchscript", "n.ts", "no TorchScript archive"),
    ):
        place = tmp_path / name
        place.write_bytes(files.pickled(files.Writes(payload)))
        refused(kind, place, payload, message)


def with_program(change):
    """The archive's graph with something put in."""

    def changed(content):
        program = json.loads(content)
        change(program)
        return json.dumps(program)

    return {"models/model.json": changed}


def call(target, *arguments):
    """A node that calls something else in place of the first convolution."""

    def change(program):
        node = program["graph_module"]["graph"]["nodes"][0]
        node["target"] = target
        node["inputs"] = [{"name": "", "arg": {"as_string": one}, "kind": 1} for one in arguments]

    return change


def size(expression):
    def change(program):
        for one in program["graph_module"]["graph"]["tensor_values"].values():
            for side in one["sizes"]:
                if "as_expr" in side:
                    side["as_expr"]["expr_str"] = expression

    return change


def name_of_the_input(name):
    def change(program):
        text = json.dumps(program).replace('"images"', json.dumps(name)).replace('"x"', json.dumps(name))
        program.clear()
        program.update(json.loads(text))

    return change


def test_exported_programs_are_operators_on_plain_weights(tmp_path, written, payload):
    whole = written["exported"]
    evil = files.pickled(files.Writes(payload))
    saved = io.BytesIO()
    torch.save(files.Writes(payload), saved)

    def as_pickle(content):
        return json.dumps(json.loads(content), sort_keys=True).replace('"use_pickle": false', '"use_pickle": true')

    planted = {
        "a function of the system": (
            with_program(call("torch.os.system", f"touch {payload}")),
            "calls 'torch.os.system'",
        ),
        "an operator that writes": (
            with_program(call("torch.ops.aten.from_file.default", str(payload))),
            "calls 'torch.ops.aten.from_file",
        ),
        "a size that is code": (
            with_program(size(f"__import__('pathlib').Path({str(payload)!r}).touch()")),
            "which is no arithmetic",
        ),
        "a size of known words": (with_program(size("Symbol('s77').__class__")), "which is no arithmetic"),
        "a name that is code": (with_program(name_of_the_input("x=open('y','w')")), "expected a name"),
        "pickled weights": (
            {"data/weights/model_weights_config.json": as_pickle, "data/weights/weight_0": evil},
            "keeps weights as pickles",
        ),
        "pickled inputs": ({"data/sample_inputs/model.pt": saved.getvalue()}, "a pickle of more than tensors"),
        "a library": ({"data/aotinductor/model/model.so": b"ELF"}, "neither graph nor weights"),
        "an object": ({"data/constants/custom_obj_0/x": evil}, "neither graph nor weights"),
    }
    for what, (change, message) in planted.items():
        place = files.changed_archive(whole, change, tmp_path / f"{what.replace(' ', '-')}.pt2")
        refused("exported", place, payload, message)
    guards = with_program(lambda program: program.update(guards_code=[f"open({str(payload)!r}, 'w')"]))
    place = files.changed_archive(whole, guards, tmp_path / "guards.pt2")
    load_source(source_of("exported", place)).network(files.example())
    assert not payload.exists()


def in_json(entry, change):
    """An entry of an archive with something put into its JSON."""

    def changed(content):
        table = json.loads(content)
        change(table)
        return json.dumps(table)

    return {entry: changed}


def weight(name, **said):
    def change(table):
        table["config"][name] = {**next(iter(table["config"].values())), **said}

    return change


def tree(context):
    def change(program):
        leaf = {"type": "builtins.dict", "context": context, "children_spec": []}
        program["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = json.dumps([1, leaf])

    return change


def size_of_the_input(name, expression):
    """The input by another name, and an expression for how many images there are."""

    def change(program):
        name_of_the_input(name)(program)
        values = program["graph_module"]["graph"]["tensor_values"]
        values[name]["sizes"][0] = {"as_expr": {"expr_str": expression, "hint": None}}

    return change


def test_exported_programs_that_hide_what_they_run(tmp_path, written, payload, monkeypatch):
    """Each of these ran when torch loaded it."""
    saved = io.BytesIO()
    torch.save(files.Writes(payload), saved)
    weights, constants = "data/weights/model_weights_config.json", "data/constants/model_constants_config.json"
    plain = {
        **{"dtype": 1, "sizes": [{"as_int": 1}], "strides": [{"as_int": 1}], "storage_offset": {"as_int": 0}},
        **{"requires_grad": False, "device": {"type": "cpu", "index": None}, "layout": 7},
    }
    held = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": False, "tensor_meta": plain}
    letters = "+".join(f"chr({ord(letter)})" for letter in str(payload))
    escape = f"Symbol('s1').series(None,0,None).gi_frame.f_builtins.get('eval')('open({letters},chr(119))')"
    (tmp_path / "planted.py").write_text(f"open({str(payload)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    named = json.dumps({"__enum__": True, "fqn": "planted:x", "name": "y"})
    made = {"default_factory_module": "planted", "default_factory_name": "x", "dict_context": []}
    planted = {
        "weights of older versions": ({"data/weights/model.pt": saved.getvalue()}, "neither graph nor weights"),
        "constants of older versions": ({"data/constants/model.pt": saved.getvalue()}, "neither graph nor weights"),
        "an opaque object": (
            {
                **in_json(constants, lambda table: table["config"].update(evil=held)),
                "data/constants/opaque_obj_0": files.pickled(files.Writes(payload)),
            },
            "neither graph nor weights",
        ),
        "a weight of another file": (in_json(weights, weight("evil", path_name="model.pt")), "expected a tensor"),
        "a pickled weight called metadata": (
            {
                **in_json(weights, weight("metadata", use_pickle=True, path_name="weight_999")),
                "data/weights/weight_999": saved.getvalue(),
            },
            "keeps weights as pickles",
        ),
        "a size of what is called metadata": (
            in_json("models/model.json", size_of_the_input("metadata", escape)),
            "which is no arithmetic",
        ),
        "a size that takes days": (
            in_json("models/model.json", size_of_the_input("images", "Pow(9, Pow(9, Pow(9, 9)))")),
            "which is no arithmetic",
        ),
        "a power that takes days": (
            in_json("models/model.json", size_of_the_input("images", "9**9**9**9")),
            "which is no arithmetic",
        ),
        "a tree of a module": (in_json("models/model.json", tree(named)), "expected a tree of plain containers"),
        "a tree of a factory": (in_json("models/model.json", tree(made)), "expected a tree of plain containers"),
    }
    for what, (change, message) in planted.items():
        place = files.changed_archive(written["exported"], change, tmp_path / f"{what.replace(' ', '-')}.pt2")
        refused("exported", place, payload, message)


def test_what_torch_loads_of_two_archives_in_one_file_is_what_was_read(
    tmp_path, written, payload, network, monkeypatch
):
    """Python's reader takes the directory before the end, torch's the one where the end says that it is."""
    (tmp_path / "planted_too.py").write_text(f"open({str(payload)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    context = json.dumps({"__enum__": True, "fqn": "planted_too:x", "name": "y"})
    change = with_program(tree(context))["models/model.json"]
    parts = []
    for what in (change, lambda content: content):
        made = {"models/model.json": lambda content, what=what: str_of(what(content)).ljust(len(content) + 1000)}
        parts.append(files.changed_archive(written["exported"], made, tmp_path / "part.pt2").read_bytes())
    place = tmp_path / "two.pt2"
    place.write_bytes(parts[0] + parts[1])
    loaded = load_source(source_of("exported", place))
    assert not payload.exists()
    torch.testing.assert_close(loaded.network(files.example()), network(files.example()))


def str_of(content):
    return content if isinstance(content, str) else content.decode()


def test_a_copied_archive_is_still_read(tmp_path, written, network):
    place = files.changed_archive(written["exported"], {}, tmp_path / "copy.pt2")
    torch.testing.assert_close(
        load_source(source_of("exported", place)).network(files.example()), network(files.example())
    )


def test_a_program_exported_in_training_is_refused(tmp_path, payload):
    torch.export.save(
        torch.export.export(files.small_network(dropout_prob=0.5).train(), (files.example(2),)), tmp_path / "n.pt2"
    )
    refused("exported", tmp_path / "n.pt2", payload, "exported in training mode .*call network.eval")


def test_torchscript_that_touches_files_is_not_loaded(tmp_path, payload):
    source = f'''
import torch
class Saves(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        torch.save(images, "{payload}")
        return images.mean(dim=[1, 2, 3]) * self.weight
'''
    code = tmp_path / "saves.py"
    code.write_text(source)
    import importlib.util

    described = importlib.util.spec_from_file_location("saves", code)
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    scripted = torch.jit.script(module.Saves())
    scripted.save(str(tmp_path / "saves.ts"))
    scripted(files.example())
    assert payload.exists()  # the payload works
    payload.unlink()
    refused("torchscript", tmp_path / "saves.ts", payload, "calls save, which touches files")


@pytest.mark.parametrize(
    "written_as",
    [
        "torch . save(images, PLACE)",
        "torch.\\\nsave(images, PLACE)",
        "ops . aten . save(images, PLACE)",
        "(torch.save)(images, PLACE)",
        "(torch).save(images, PLACE)",
        'getattr(torch, "save")(images, PLACE)',
        'getattr(torch, "sa" "ve")(images, PLACE)',
        'getattr(torch, "\\163ave")(images, PLACE)',
        "torch.from_file(PLACE, True, 4)",
        "o = ops\n    _8 = o.aten.save(images, PLACE)",
    ],
)
def test_torchscript_is_read_as_torch_reads_it(tmp_path, payload, written_as):
    """Calls that write files in spellings that TorchScript understands."""
    place = tmp_path / "n.ts"
    torch.jit.trace(Pickled(), files.example(2)).save(str(place))
    call = written_as.replace("PLACE", f'"{payload}"')
    call = call if call.startswith("o = ") else f"_9 = {call}"

    def change(content):
        return re.sub(r"(\n    return )", lambda found: f"\n    {call}{found[1]}", content.decode(), count=1)

    with zipfile.ZipFile(place) as archive:
        code = next(name for name in archive.namelist() if b"def forward" in archive.read(name))
    changed = files.changed_archive(place, {code.split("/", 1)[1]: change}, tmp_path / "changed.ts")
    assert call in zipfile.ZipFile(changed).read(code).decode()
    refused("torchscript", changed, payload, "touches files|spells a name|torch does not bring")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"network_def": {"_target_": "builtins.exec", "object": "PAYLOAD"}},
            "is a 'builtins.exec', which",
        ),
        (
            {"network_def": {"_target_": "monai.networks.nets.UNet"}},
            "is a 'monai.networks.nets.UNet', which",
        ),
        ({"network_def": {"_target_": "evil.DenseNet"}}, "is a 'evil.DenseNet', which is not built"),
        ({"network_def": "$PAYLOAD"}, "network_def is the expression"),
        (
            {"network_def": {"_target_": "DenseNet", "spatial_dims": "$PAYLOAD"}},
            "network_def#spatial_dims is the expression",
        ),
        (
            {"network_def": {"_target_": "DenseNet", "spatial_dims": "@spatial"}, "spatial": "$PAYLOAD"},
            "the expression",
        ),
        (
            {"network_def": {"_target_": "DenseNet", "spatial_dims": "@nowhere"}},
            "refers to '@nowhere', which",
        ),
        ({"network_def": "@network_def"}, "references lead in a circle"),
        ({"network_def": {"_target_": "DenseNet", "_requires_": "x"}}, "has _requires_, which is not followed"),
        ({"network_def": {"_target_": "DenseNet121", "pretrained": True}}, "pretrained = True, only False is allowed"),
        ({"network_def": {"_target_": "DenseNet", **files.DENSENET, "growth_rate": 5}}, "weights do not fit"),
        ({"network_def": {"_target_": "DenseNet", "spatial_dims": 2}}, "cannot be built with"),
    ],
)
def test_bundles_that_ask_for_more_than_a_network(tmp_path, network, payload, changed, message):
    text = json.dumps(changed).replace("PAYLOAD", f"open({str(payload)!r}, 'w')".replace("'", "\\u0027"))
    place = files.write_bundle(network, tmp_path, **json.loads(text))
    refused("bundle", place, payload, re.escape(message))


MANY = {f"a{place}": [f"@a{place + 1}"] * 8 for place in range(15)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"network_def": "@a0", **MANY, "a15": 1}, "comes to more than 10000 values"),
        (
            {"network_def": {"_target_": "DenseNet", **files.DENSENET, "init_features": 10**13}},
            "expected at most 65536",
        ),
        ({"network_def": {"_target_": "DenseNet", **files.DENSENET, "block_config": [2] * 100}}, "expected at most 64"),
        ({"network_def": {"_target_": "DenseNet", **files.DENSENET, "init_features": 60_000}}, "weights do not fit"),
    ],
)
def test_bundles_that_would_take_all_memory_or_time(tmp_path, network, payload, changed, message):
    refused("bundle", files.write_bundle(network, tmp_path, **changed), payload, message)


@pytest.mark.parametrize(
    "written_as", ["network_def: &n {_target_: DenseNet, x: *n}", "network_def: !!python/name:os.system"]
)
def test_bundles_in_yaml_are_plain_tables(tmp_path, network, payload, written_as):
    place = files.write_bundle(network, tmp_path)
    (place / "configs/inference.json").unlink()
    (place / "configs/inference.yaml").write_text(written_as)
    refused("bundle", place, payload, "holds itself|cannot be read")


RANGE = {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -160, "a_max": 240, "b_min": 0.0, "b_max": 1.0}


def declared_by(tmp_path, network, *transforms):
    place = files.write_bundle(network, tmp_path, preprocessing=list(transforms))
    return declared_input(NetworkSource.of("bundle", place)).contract


@pytest.mark.parametrize(
    "transform",
    [
        {"_target_": "ScaleIntensityRanged", "a_max": 240, "b_min": 0, "b_max": 1},
        {"_target_": "ScaleIntensityRanged", "a_min": "x", "a_max": 240, "b_min": 0, "b_max": 1},
        {"_target_": "Spacingd", "pixdim": [None, 1.0]},
        {"_target_": "Spacingd", "pixdim": [0.8, -1.0]},
        {"_target_": "Spacingd"},
        {"_target_": "Resized", "spatial_size": [4, 4, 4, 4]},
        {"_target_": "NormalizeIntensityd", "subtrahend": [0.5, 0.4], "divisor": [1.0, 1.0]},
    ],
)
def test_a_transform_that_cannot_be_understood_is_listed(tmp_path, network, transform):
    found = declared_by(tmp_path, network, RANGE, transform)
    assert transform["_target_"].removesuffix("d") in " ".join(found.not_translated)
    assert found.windows == ((-160.0, 240.0),)


def test_transforms_count_in_their_order(tmp_path, network):
    turned, back = ({"_target_": "Orientationd", "keys": "image", "axcodes": one} for one in ("PL", "LP"))
    spaced = {"_target_": "Spacingd", "keys": ["image"], "pixdim": [1.0, 2.0]}
    assert declared_by(tmp_path, network, back, spaced, RANGE).spacing == (2.0, 1.0)
    found = declared_by(tmp_path, network, spaced, back, RANGE)
    assert found.spacing == ()
    assert "Spacing to (1.0, 2.0) of axes that are turned only afterwards" in found.not_translated
    assert declared_by(tmp_path, network, back, turned, RANGE).orientation == "PL"
    normal = [{"_target_": "NormalizeIntensityd", "subtrahend": one, "divisor": 0.5} for one in (0.5, 0.1)]
    found = declared_by(tmp_path, network, RANGE, *normal)
    assert (found.mean, "a second NormalizeIntensity" in found.not_translated) == ((0.5,), True)
    label = {**RANGE, "keys": "label", "a_min": 0, "a_max": 9}
    assert declared_by(tmp_path, network, label, RANGE).windows == ((-160.0, 240.0),)
    sized = {"_target_": "Resized", "keys": "image", "spatial_size": 48}
    assert declared_by(tmp_path, network, sized, RANGE).size == (48, 48)


def test_the_weights_of_a_bundle_are_weights(tmp_path, network, payload):
    place = files.write_bundle(network, tmp_path)
    torch.save({"model": files.Writes(payload)}, place / "models" / "model.pt")
    refused("bundle", place, payload, "what else a pickle holds is not read")


def test_checkpoints_keep_weights_under_a_name(tmp_path, network):
    place = files.write_bundle(network, tmp_path)
    torch.save({"model": network.state_dict(), "epoch": 3}, place / "models" / "model.pt")
    loaded = load_source(source_of("bundle", place))
    assert torch.equal(loaded.network(files.example()), network(files.example()))


def test_weights_of_a_module_around_the_network_are_told_as_such(tmp_path, network, payload):
    save_file({f"module.{name}": one for name, one in network.state_dict().items()}, tmp_path / "n.safetensors")
    refused("safetensors", tmp_path / "n.safetensors", payload, r"called 'module\.\*'.* network.module.state_dict\(\)")


def test_a_damaged_state_dict_is_no_pickle_of_other_things(tmp_path, network, payload):
    place = files.write_state_dict(network, tmp_path)
    place.write_bytes(place.read_bytes()[: place.stat().st_size // 2])
    refused("state-dict", place, payload, "is damaged, or no file that torch.save wrote")


@pytest.mark.parametrize("change", ["missing", "more", "NaN", "shape"])
def test_weights_that_do_not_fit_are_refused(tmp_path, network, payload, change):
    state = dict(network.state_dict())
    name = "class_layers.out.weight"
    if change == "missing":
        del state[name]
    elif change == "more":
        state["more"] = torch.ones(1)
    else:
        state[name] = state[name] * float("nan") if change == "NaN" else state[name][:1]
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "n.safetensors")
    refused("safetensors", tmp_path / "n.safetensors", payload, "not finite" if change == "NaN" else "do not fit")


def test_code_of_one_s_own_says_what_is_wrong(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("def made():\n    return 3\n\ndef broken():\n    raise OSError('no disk')\n")
    for name, message in (
        ("absent", r"has no function 'absent'; it has made, broken"),
        ("made", r"made\(\) returned int, expected an nn.Module"),
        ("broken", r"broken\(\) raised OSError: no disk"),
    ):
        with pytest.raises(NetworkError, match=message):
            load_source(NetworkSource.of("factory", own, name))
    own.write_text("1 / 0\n")
    with pytest.raises(NetworkError, match="raised ZeroDivisionError"):
        load_source(NetworkSource.of("factory", own, "made"))


def test_classes_of_one_s_own_code_reach_other_processes(tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "import torch\nclass Mean(torch.nn.Module):\n    def forward(self, images):\n"
        "        return images.mean(dim=(1, 2, 3)) - 0.5\n\ndef network():\n    return Mean()\n"
    )
    classifier = NetworkFile(NetworkSource.of("factory", own, "network"), output="logit").classifier()
    sent = pickle.loads(cloudpickle.dumps(classifier))
    torch.testing.assert_close(sent.class_scores(files.example()), classifier.class_scores(files.example()))


class Quantised(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(files.SIZE * files.SIZE, 2)

    def forward(self, images):
        return self.linear(images.flatten(1))


def test_quantised_networks_give_no_gradients(tmp_path):
    quantised = torch.ao.quantization.quantize_dynamic(Quantised().eval(), {nn.Linear}, dtype=torch.qint8)
    torch.jit.trace(quantised, files.example(2)).save(str(tmp_path / "n.ts"))
    classifier = NetworkFile(NetworkSource.of("torchscript", tmp_path / "n.ts")).classifier()
    assert classifier.class_scores(files.example()).shape == (3, 2)
    with pytest.raises(NetworkError, match="the network gives no gradients: it is quantised"):
        tl.explain(classifier, files.example(), "backpropagation")


def test_onnx_of_two_inputs_is_refused(tmp_path, payload):
    class Two(nn.Module):
        def forward(self, image, clinical):
            return image.mean(dim=(1, 2, 3)) + clinical

    place = tmp_path / "n.onnx"
    torch.onnx.export(Two(), (files.example(2), torch.ones(2)), str(place), dynamo=False, input_names=["image", "age"])
    refused("onnx", place, payload, r"takes 2 inputs \(image, age\), expected one tensor of images")


def test_onnx_with_weights_in_another_file_is_refused(tmp_path, payload):
    """The hash of the file would be that of two networks."""
    file = files.write_onnx(nn.Sequential(nn.Flatten(), nn.Linear(files.SIZE**2, 2)), tmp_path)
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").exists()
    refused("onnx", file, payload, "keeps weights in other files")


def test_what_is_no_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "n.onnx")
    with pytest.raises(NetworkError, match="neither file nor folder"):
        NetworkSource.of("onnx", tmp_path / "n.onnx")


@pytest.fixture
def folder_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    made = transformers.ViTConfig(**sizes, image_size=32, patch_size=8, num_channels=3, num_labels=2)
    for name in ("vit", "other"):
        transformers.ViTForImageClassification(made).save_pretrained(tmp_path / name)
    return tmp_path / "vit"


def test_folders_of_transformers_lead_nowhere_else(folder_of_transformers, payload):
    folder = folder_of_transformers
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "_attn_implementation": "somebody/kernel"}))
    refused("hugging-face", folder, payload, "code from elsewhere")
    (folder / "config.json").write_text(json.dumps(config))
    with safe_open(folder / "model.safetensors", "pt") as weights:
        elsewhere = dict.fromkeys(weights.keys(), "../other/model.safetensors")
    (folder / "model.safetensors").rename(folder / "was.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": elsewhere}))
    refused("hugging-face", folder, payload, "names weights outside of this folder")


def test_weights_of_transformers_in_half_precision_take_images(folder_of_transformers):
    config = json.loads((folder_of_transformers / "config.json").read_text())
    (folder_of_transformers / "config.json").write_text(json.dumps({**config, "dtype": "float16"}))
    network = load_source(NetworkSource.of("hugging-face", folder_of_transformers)).network
    assert network(torch.rand(1, 3, 32, 32)).logits.dtype == torch.float32


@pytest.mark.parametrize(
    ("said", "size", "told"),
    [
        ({"size": {"height": 16, "width": 24}}, (16, 24), None),
        ({"size": {"height": 16, "width": 24}, "do_resize": False}, (32, 32), "no resize"),
        ({"size": {"shortest_edge": 40}}, (32, 32), "a resize to {'shortest_edge': 40}, which keeps the sides' ratio"),
        ({"rescale_factor": 1 / 127.5, "offset": True}, (32, 32), "offset = True"),
        (None, (32, 32), "no preprocessor_config.json: what its values were in training is not said"),
    ],
)
def test_what_transformers_do_beside_is_listed(folder_of_transformers, said, size, told):
    if said is not None:
        (folder_of_transformers / "preprocessor_config.json").write_text(json.dumps(said))
    found = declared_input(NetworkSource.of("hugging-face", folder_of_transformers)).contract
    assert (found.size, found.not_translated) == (size, () if told is None else (told,))


@pytest.mark.parametrize("said", [[1], {"image_mean": "abc", "image_std": [1]}, {"image_mean": [0.5]}])
def test_a_preprocessor_that_cannot_be_understood_is_one_line(folder_of_transformers, said):
    (folder_of_transformers / "preprocessor_config.json").write_text(json.dumps(said))
    with pytest.raises(NetworkError, match="what it says of its images cannot be understood"):
        declared_input(NetworkSource.of("hugging-face", folder_of_transformers))


def test_unknown_places(tmp_path):
    with pytest.raises(NetworkError, match="no such file or folder"):
        kind_of(tmp_path / "nothing.pt")
    with pytest.raises(NetworkError, match="neither a MONAI bundle"):
        kind_of(tmp_path)
    with pytest.raises(NetworkError, match="no such file"):
        NetworkSource.of("onnx", tmp_path / "n.onnx")
    (tmp_path / "n.xyz").write_bytes(b"")
    with pytest.raises(NetworkError, match="kind 'xyz', known are safetensors"):
        load_source(NetworkSource.of("xyz", tmp_path / "n.xyz"))
