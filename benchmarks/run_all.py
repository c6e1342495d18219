"""Run every benchmark in turn and write what they print to ``benchmarks/results.md``, with machine and versions."""

import os
import platform
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = (
    "gradients",
    "decisions",
    "regions",
    "ranking",
    "protocol",
    "memory",
    "volume_memory",
    "scaling",
    "index_headers",
)
LIBRARIES = ("torch", "openvino", "numpy", "numba", "captum", "saliency", "scikit-image", "scikit-learn", "pydicom")


def processor() -> str:
    """The model's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    """All scripts, or those named."""
    names = sys.argv[1:] or SCRIPTS
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    units = [unit for unit in ("avx512_bf16", "amx_bf16") if unit in flags]
    parts = [
        "# Measured",
        "Two things run in turn in one process on the same data; a ratio says how many times quicker the first is. "
        "`make bench` writes this file.",
        f"{processor()}, {os.cpu_count()} cores, {', '.join(units) or 'no bf16 units'}; Python "
        f"{platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in LIBRARIES)}; {date.today()}.",
    ]
    for name in names:
        print(f"== {name}", flush=True)
        began = time.perf_counter()
        done = subprocess.run([sys.executable, HERE / f"{name}.py"], stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, flush=True)
        if done.returncode:
            raise SystemExit(f"{name}.py ended with {done.returncode}")
        lines = "\n".join(f"- {line}" for line in done.stdout.splitlines())
        parts.append(f"## {name.replace('_', ' ')} ({time.perf_counter() - began:.0f} s)\n\n{lines}")
    (HERE / "results.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
