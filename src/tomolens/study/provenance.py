"""Where numbers come from: versions, commit and machine."""

import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

import torch

LIBRARIES = (
    "tomolens",
    "torch",
    "monai",
    "numpy",
    "scipy",
    "numba",
    "pandas",
    "pydicom",
    "SimpleITK",
    "openvino",
    "onnxruntime",
    "transformers",
)


def provenance(device: str, executor: str) -> dict[str, Any]:
    """Versions of everything that computes, the commit of TomoLens where it is known, and the machine."""
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "commit": commit(),
        "machine": {"device": device, "name": device_name(device), "system": platform.system(), "executor": executor},
    }


def device_name(device: str) -> str:
    """Model of the GPU, or of the processor where the system tells."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def commit() -> str | None:
    """The commit of an installation from a repository or in one, with ``+changes`` where files were edited."""
    try:
        origin = json.loads(distribution("tomolens").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    if "vcs_info" in origin:
        return str(origin["vcs_info"]["commit_id"])
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    describe = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes"]
    try:
        return subprocess.run(describe, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # an extra that is not installed
    return found
