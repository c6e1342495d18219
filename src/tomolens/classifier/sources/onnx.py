"""ONNX through onnxruntime: it gives scores and no gradients."""

from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import NetworkError, SettingsError, reason_of
from .source import Loaded, NetworkSource

FORWARD_ONLY = "onnxruntime computes scores and no gradients: take estimators that ask for scores alone"
TYPES = {"tensor(float)": torch.float32, "tensor(double)": torch.float64, "tensor(float16)": torch.float16}


class OnnxNetwork(nn.Module):
    """An ONNX graph as a module; it runs on the processor, wherever the images are.

    Attributes:
        session: of onnxruntime.
        content: hash of its file, by which two of them are told apart.
    """

    def __init__(self, session: Any, content: str) -> None:
        super().__init__()
        self.session, self.content = session, content
        self.taken = session.get_inputs()[0].name
        self.precision = TYPES[session.get_inputs()[0].type]
        self.names = [one.name for one in session.get_outputs()]

    def forward(self, images: Tensor) -> Any:
        """The output, or all outputs by name where there are several."""
        given = images.detach().to("cpu", self.precision).contiguous().numpy()
        found = [torch.from_numpy(one).to(images.device) for one in self.session.run(None, {self.taken: given})]
        return found[0] if len(found) == 1 else dict(zip(self.names, found, strict=True))

    def extra_repr(self) -> str:
        """What tells it from others."""
        return self.content


def read_onnx(source: NetworkSource) -> Loaded:
    """The graph of an ONNX file, for one tensor of images."""
    try:
        import onnxruntime
    except ImportError as error:
        raise SettingsError(f"{source.path}: ONNX needs onnxruntime: pip install 'tomolens[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        with TemporaryDirectory() as empty:  # weights in other files are looked for there, and found nowhere
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", empty)
            content = source.path.read_bytes()
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no type
        reason = reason_of(error)
        if "xternal" in reason or "model_path must not be empty" in reason:
            reason = f"keeps weights in other files, which its hash would not hold: save it as one file; {reason}"
        raise NetworkError(f"{source.path}: no ONNX file that can be run ({reason})") from error
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(one.name for one in inputs)
        raise NetworkError(f"{source.path}: takes {len(inputs)} inputs ({names}), expected one tensor of images")
    if inputs[0].type not in TYPES:
        raise NetworkError(f"{source.path}: takes {inputs[0].type}, expected one of {', '.join(TYPES)}")
    first = inputs[0].shape[0] if inputs[0].shape else None
    batch = first if isinstance(first, int) else None
    return Loaded(OnnxNetwork(session, source.hash).eval(), batch, FORWARD_ONLY)
