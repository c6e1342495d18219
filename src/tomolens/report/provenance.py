"""Where a page comes from, in a line: study, data, version, machine, day, and the command that does it again."""

from datetime import date

from ..findings import Findings


def provenance(findings: Findings, made: date) -> str:
    """What was studied, on which data, by which version, where; and when the page was made."""
    description, cases = findings.description, findings.measured.cases
    machine = description.raw["machine"]
    return " · ".join(
        filter(
            None,
            (
                f"Study “{description.name}”",
                data(findings),
                f"{len(cases)} cases of {cases['patient'].nunique()} patients",
                f"seed {description.seed}",
                _version(findings),
                f"{machine['name']} ({machine['device']})",
                f"study {str(description.raw['identity'])[:12]}",
                f"measured on {day}" if (day := description.raw.get("measured_on")) else "",
                f"page of {made.isoformat()}",
            ),
        )
    )


def data(findings: Findings) -> str:
    """Which data: simulated ones by their finding, others by the hash of what they hold, as their names are private."""
    settings, content = findings.description.settings["cases"], findings.description.raw["content"]["cases"]
    if settings.get("source") == "phantom":
        return f"simulated chest CT ({settings.get('finding', 'contrast')})"
    return f"data {str(content['hash'])[:12]}"


def command(findings: Findings) -> str:
    """The command that does the study again, with names for files whose own are private."""
    raw, settings = findings.description.raw, findings.description.settings["cases"]
    parts = ["tomolens study study.toml"]
    parts += [] if settings.get("source") == "phantom" else ["--cases cases.csv"]
    given = raw["content"].get("classifier") is not None
    parts += ["--model network.toml"] if given else []
    device, executor = raw["machine"]["device"], raw["machine"]["executor"]
    parts += [] if device == "cpu" else [f"--device {device.partition(':')[0]}"]
    parts += [] if executor == "local" else [f"--executor {executor}"]
    return " ".join(parts)


def _version(findings: Findings) -> str:
    commit = findings.description.raw.get("commit") or ""
    changed = ", with changes" if commit.endswith("+changes") else ""
    return (
        f"TomoLens {findings.description.raw['versions']['tomolens']}{f' ({commit[:10]}{changed})' if commit else ''}"
    )
