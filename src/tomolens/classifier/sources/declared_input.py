"""What files say of the images that their networks were trained on, as far as it can be translated."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...errors import NetworkError, SettingsError
from ..contract import OPPOSITE, OURS, InputContract
from .bundle import bundle_of, resolved
from .hugging_face import config_of
from .source import NetworkSource

WITHOUT_EFFECT = (
    *("LoadImage", "EnsureChannelFirst", "EnsureType", "ToTensor", "CastToType", "Identity", "ToDevice"),
    *("SelectItems", "CopyItems", "DeleteItems"),
)
"""Transforms that bring an image in, and change nothing that a contract says."""


UNTRANSLATED = (
    "offset",
    "rescale_offset",
    "include_top",
    "crop_pct",
    "do_pad",
    "do_flip_channel_order",
    "do_grayscale",
)
"""What preprocessors of transformers may do beside what is translated."""


@dataclass(frozen=True)
class Declared:
    """What a file says of its network.

    Attributes:
        contract: what goes in.
        classes: names of the outputs, in their order; empty where they have none.
        key: which output holds the scores; empty where it is not said.
    """

    contract: InputContract = InputContract()  # noqa: RUF009  frozen
    classes: tuple[str, ...] = ()
    key: str = ""


def declared_input(source: NetworkSource) -> Declared:
    """What the files of a source say of its input and its classes; nothing for kinds that say nothing.

    Raises:
        NetworkError: see `bundle_of` and `config_of`.
    """
    of_kind = {"bundle": _of_bundle, "hugging-face": _of_hugging_face}.get(source.kind)
    try:
        return Declared() if of_kind is None else of_kind(source)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        said = f"{type(error).__name__}: {error}"
        raise NetworkError(f"{source.path}: what it says of its images cannot be understood ({said})") from error


def _of_hugging_face(source: NetworkSource) -> Declared:
    settings = config_of(source.path)
    names = settings.get("id2label")
    classes = tuple(str(names[one]) for one in sorted(names, key=int)) if isinstance(names, dict) else ()
    if all(name == f"LABEL_{place}" for place, name in enumerate(classes)):
        classes = ()
    channels, size = settings.get("num_channels", 3), settings.get("image_size")
    contract = InputContract(channels=int(channels), size=_pair(size))
    file = source.path / "preprocessor_config.json"
    if not file.is_file():
        unsaid = ("no preprocessor_config.json: what its values were in training is not said",)
        return Declared(replace(contract, not_translated=unsaid), classes, "logits")
    try:
        prepared = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise NetworkError(f"{file}: cannot be read ({error})") from error
    left = [f"{name} = {prepared[name]}" for name in UNTRANSLATED if prepared.get(name)]
    scaled = prepared.get("do_rescale", True)
    factor = float(prepared.get("rescale_factor", 1 / 255))
    white = 255.0 * factor if scaled else 255.0
    if prepared.get("do_normalize", True) and prepared.get("image_mean"):
        contract = replace(
            contract, mean=tuple(map(float, prepared["image_mean"])), std=tuple(map(float, prepared["image_std"]))
        )
    if prepared.get("do_center_crop"):
        left.append(f"a centre crop to {prepared.get('crop_size')} after a resize to {prepared.get('size')}")
    elif prepared.get("do_resize", True) and "shortest_edge" in str(prepared.get("size")):
        left.append(f"a resize to {prepared['size']}, which keeps the sides' ratio")
    if not prepared.get("do_resize", True):
        left.append("no resize")
    shown = prepared.get("crop_size" if prepared.get("do_center_crop") else "size")
    resized = prepared.get("do_resize", True) or prepared.get("do_center_crop")
    if resized and isinstance(shown, Mapping) and {"height", "width"} <= set(shown):
        contract = replace(contract, size=(int(shown["height"]), int(shown["width"])))
    elif resized and isinstance(shown, int) and prepared.get("do_center_crop"):
        contract = replace(contract, size=(shown, shown))
    return Declared(replace(contract, white=white, not_translated=tuple(left)), classes, "logits")


def _pair(size: Any) -> tuple[int, ...]:
    if isinstance(size, int):
        return (size, size)
    return tuple(map(int, size)) if isinstance(size, Sequence) and not isinstance(size, str) else ()


def _of_bundle(source: NetworkSource) -> Declared:
    bundle = bundle_of(source.path)
    formats = bundle.metadata.get("network_data_format", {})
    image = _first_of(formats.get("inputs"))
    prediction = _first_of(formats.get("outputs"))
    names = prediction.get("channel_def")
    classes = tuple(str(names[one]) for one in sorted(names, key=int)) if isinstance(names, Mapping) else ()
    shape = image.get("spatial_shape")
    size = tuple(shape) if isinstance(shape, list) and all(type(one) is int for one in shape) else ()
    channels = image.get("num_channels")
    contract = InputContract(channels=channels if type(channels) is int else 0)
    left: list[str] = []
    found = contract
    transforms = _transforms(bundle.configuration, left, source)
    axes = bundle.arguments.get("spatial_dims", len(size) or 3)
    turned = [place for place, (name, _) in enumerate(transforms) if name == "Orientation"]
    orientation = (
        _given(transforms[turned[-1]][1], "axcodes") if turned else ""
    )  # the last is how the network sees them
    found = replace(found, orientation=str(orientation or ""))
    for place, (name, given) in enumerate(transforms):
        try:
            if turned and place < turned[-1] and name in OF_AXES and len(set(_of_axes(name, given, axes))) > 1:
                left.append(f"{name} to {_of_axes(name, given, axes)} of axes that are turned only afterwards")
                continue
            found, words = _translated(found, name, given, [one for one, _ in transforms], axes)
        except (SettingsError, ValueError, TypeError, KeyError, OverflowError) as error:
            words = [f"{name} ({type(error).__name__}: {error!s:.120})"]
        left += words
    if not found.size and size:
        found = replace(found, size=_in_our_order(size, found.orientation))
    if "ScaleIntensityRange" not in [name for name, _ in transforms]:
        left.append("no ScaleIntensityRange: what its values were in training is not said")
    if not orientation:
        shown = f"as they are shown here ({OURS}: indices rise to head, back and left)"
        left.append(f"no orientation: which way its images lie is not said, and is taken to be {shown}")
    return Declared(replace(found, not_translated=tuple(left)), classes)


def _first_of(formats: Any) -> Mapping[str, Any]:
    """The format of the first, and only, input or output."""
    if not isinstance(formats, Mapping) or not formats:
        return {}
    first = formats.get("image") or formats.get("pred") or next(iter(formats.values()))
    return first if isinstance(first, Mapping) else {}


def _transforms(
    configuration: Mapping[str, Any], left: list[str], source: NetworkSource
) -> list[tuple[str, Mapping[str, Any]]]:
    """Name and arguments of each transform that is literal; of the others, why they are not translated."""
    prepared = configuration.get("preprocessing", configuration.get("inference_transforms"))
    listed = prepared.get("transforms") if isinstance(prepared, Mapping) else prepared
    if not isinstance(listed, list):
        left.append("a preprocessing that is no list" if prepared is not None else "no preprocessing that is named")
        return []
    found = []
    for one in listed:
        try:
            literal = resolved(configuration, one, "preprocessing", source.path)
        except NetworkError as error:
            name = one.get("_target_", "a transform") if isinstance(one, Mapping) else "a transform"
            left.append(f"{name}, which is no literal ({str(error).rsplit('preprocessing', 1)[-1][:80]})")
            continue
        if not isinstance(literal, Mapping) or "_target_" not in literal:
            left.append(f"'{str(literal)[:60]}', which is no transform")
        elif not literal.get("_disabled_"):
            name = str(literal["_target_"]).rsplit(".", 1)[-1]
            found.append((name.removesuffix("Dict").removesuffix("d").removesuffix("D"), literal))
    keys = [_keys(one) for _, one in found if _keys(one)]
    image = "image" if not keys or any("image" in one for one in keys) else keys[0][0]
    return [(name, one) for name, one in found if not _keys(one) or image in _keys(one)]  # others are of labels


def _keys(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    keys = arguments.get("keys", ())
    return (keys,) if isinstance(keys, str) else tuple(map(str, keys))


def _given(arguments: Mapping[str, Any], name: str, missing: Any = None) -> Any:
    """An argument of a transform, which MONAI allows one or one for each key."""
    value = arguments.get(name, missing)
    return value[0] if isinstance(value, list) and len(value) == 1 and not isinstance(value[0], int | float) else value


def _translated(
    contract: InputContract, name: str, given: Mapping[str, Any], names: Sequence[str], axes: int
) -> tuple[InputContract, list[str]]:
    """The contract with one transform put into it, and what of it could not be."""
    if name in WITHOUT_EFFECT or name == "Orientation":
        return contract, []
    if name == "ScaleIntensityRange":
        low, high = float(given["a_min"]), float(given["a_max"])
        black, white = given.get("b_min"), given.get("b_max")
        if contract.windows or black is None or white is None:
            return contract, [f"a second {name}" if contract.windows else f"{name} without b_min and b_max"]
        clipped = (
            [] if given.get("clip") else [f"{name} that clips nothing: here HU beyond {low:g} to {high:g} are cut off"]
        )
        return replace(contract, windows=((low, high),), black=float(black), white=float(white)), clipped
    if name == "NormalizeIntensity" and given.get("subtrahend") is not None and given.get("divisor") is not None:
        if given.get("nonzero"):
            return contract, [f"{name} of the pixels that are not zero"]
        if not contract.windows or contract.mean or contract.std:
            return contract, [f"{name} before any ScaleIntensityRange" if not contract.windows else f"a second {name}"]
        return replace(contract, mean=_numbers(given["subtrahend"]), std=_numbers(given["divisor"])), []
    if name == "Spacing":
        pixels = _of_axes(name, given, axes)
        if any(one <= 0 for one in pixels):
            return contract, [f"{name} to {list(pixels)} mm, which leaves an axis as it is"]
        if "Resize" in names:
            return contract, [f"Spacing to {list(pixels)} mm before a Resize, which leaves of it a smoothing"]
        return replace(contract, spacing=_in_our_order(pixels, contract.orientation)), []
    if name in ("Resize", "ResizeWithPadOrCrop", "CenterSpatialCrop"):
        return _of_size(contract, name, given, names, axes)
    return contract, [name]


def _of_size(
    contract: InputContract, name: str, given: Mapping[str, Any], names: Sequence[str], axes: int
) -> tuple[InputContract, list[str]]:
    size = list(_of_axes(name, given, axes))
    if not isinstance(size, list) or not all(type(one) is int and one > 0 for one in size):
        return contract, [f"{name} to {size}"]
    if name != "Resize" and ("Resize" in names or "Spacing" not in names):
        return contract, [f"{name} to {size} of an image whose pixels have no size in mm"]
    if name == "Resize" and given.get("size_mode", "all") != "all":
        return contract, [f"{name} by the {given['size_mode']} side"]
    return replace(contract, size=_in_our_order(tuple(size), contract.orientation)), []


OF_AXES = {
    "Spacing": "pixdim",
    "Resize": "spatial_size",
    "ResizeWithPadOrCrop": "spatial_size",
    "CenterSpatialCrop": "roi_size",
}
"""Transforms with a number for each axis, or one for all, and how it is called."""


def _of_axes(name: str, given: Mapping[str, Any], axes: int) -> tuple[Any, ...]:
    value = given[OF_AXES[name]]
    numbers = value if isinstance(value, list) else [value] * axes
    return _numbers(numbers) if name == "Spacing" else tuple(numbers)


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(map(float, value)) if isinstance(value, list) else (float(value),)


def _in_our_order(values: Sequence[Any], orientation: str) -> tuple[Any, ...]:
    """Values of the network's axes in the order of a case's."""
    if not orientation or len(orientation) != len(values):
        return tuple(values)
    ours = OURS[-len(values) :]
    places = [next(i for i, one in enumerate(orientation) if one in (letter, OPPOSITE[letter])) for letter in ours]
    return tuple(values[place] for place in places)
