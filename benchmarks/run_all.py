"""Run every benchmark in turn, and write what they print to a file for this kind of machine and beside other machines'.

    python benchmarks/run_all.py [SCRIPT ...]
    ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI python benchmarks/run_all.py protocol decisions   # as without bf16 and AMX

``benchmarks/machines/NAME.md`` has all that was printed there; the table in ``benchmarks/results.md`` has the ratios of
all machines side by side, and the rest of that file is written by hand.
"""

import os
import platform
import re
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
MACHINES, RESULTS = HERE / "machines", HERE / "results.md"
BEGIN, END = "<!-- machines: begin -->", "<!-- machines: end -->"
SCRIPTS = (
    "limits",
    "gradients",
    "decisions",
    "regions",
    "ranking",
    "protocol",
    "memory",
    "volume_memory",
    "volume_speed",
    "scaling",
    "index_headers",
)
LIBRARIES = ("torch", "openvino", "numpy", "numba", "captum", "saliency", "scikit-image", "scikit-learn", "pydicom")
UNITS = ("avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8")
RATIO = re.compile(r"- (?P<claim>.+): (?P<ours>[0-9.]+) s against (?P<theirs>[0-9.]+) s, ratio (?P<ratio>[0-9.]+)")


def processor() -> str:
    """The model's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def machine() -> str:
    """The kind of machine: processor, cores and the units that quick backends use."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    units = [unit for unit in UNITS if unit in flags]
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")  # as on an older machine: torch and OpenVINO keep to it
    limited = f", limited to {limit}" if limit else ""
    return f"{processor()}, {os.cpu_count()} cores, {', '.join(units) or 'no bf16 units'}{limited}"


def sections(text: str) -> dict[str, str]:
    """Parts of a machine's file by their heading, with what stands below."""
    return {part.partition(" (")[0]: f"## {part.strip()}" for part in text.split("\n## ")[1:]}


def side_by_side(files: list[Path]) -> str:
    """A table of all ratios: a row for each claim, a column for each machine."""
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    titles = {file: text.splitlines()[0].removeprefix("# ") for file, text in texts.items()}
    found = {file: {one["claim"]: one for one in RATIO.finditer(text)} for file, text in texts.items()}
    claims = dict.fromkeys(claim for one in found.values() for claim in one)
    rows = [
        [claim, *(f"{one[claim]['ratio']} ({one[claim]['ours']} s)" if claim in one else "–" for one in found.values())]
        for claim in claims
    ]
    head = ["how many times quicker (seconds of ours)", *(f"[{titles[file]}](machines/{file.name})" for file in files)]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    """All scripts, or those named; of the others the machine's file keeps what it has."""
    MACHINES.mkdir(exist_ok=True)
    file = MACHINES / f"{re.sub('[^a-z0-9]+', '-', machine().lower()).strip('-')}.md"
    kept = sections(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in sys.argv[1:] or SCRIPTS:
        print(f"== {name}", flush=True)
        began = time.perf_counter()
        done = subprocess.run([sys.executable, HERE / f"{name}.py"], stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, flush=True)
        if done.returncode:
            raise SystemExit(f"{name}.py ended with {done.returncode}")
        lines = "\n".join(f"- {line}" for line in done.stdout.splitlines())
        heading = name.replace("_", " ")
        kept[heading] = f"## {heading} ({time.perf_counter() - began:.0f} s, {date.today()})\n\n{lines}"
        write(file, list(kept.values()))  # what is measured is kept where a later script breaks


def write(file: Path, parts: list[str]) -> None:
    """This machine's file, and the table of all of them."""
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    begun = [f"# {machine()}", f"Python {platform.python_version()}, {versions}."]
    file.write_text("\n\n".join([*begun, *parts]) + "\n", encoding="utf-8")
    before, _, rest = RESULTS.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    table = side_by_side(sorted(MACHINES.glob("*.md")))
    RESULTS.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
