"""Charts of the page by name."""

from ..findings import Findings
from .breakdown_chart import breakdown_chart
from .breakdowns import breakdowns
from .choices_chart import choices_chart
from .curve_charts import curve_charts
from .drawn import Drawn
from .metric_chart import metric_chart
from .rank_chart import rank_chart
from .series import views_beside
from .spread_chart import spread_chart


def charts(findings: Findings) -> dict[str, Drawn]:
    """All charts for which there are measurements, by name."""
    drawn: dict[str, Drawn] = {}
    for chart in (chart for metric in findings.description.metrics for chart in metric.charts):
        drawn |= curve_charts(findings, chart)
    drawn |= {one.name: breakdown_chart(findings, one) for one in breakdowns(findings)}
    model, others = views_beside(findings)
    if model is not None:
        drawn |= {f"agreement-{view.column}": spread_chart(findings, model, view) for view in others}
    for name, found in findings.critical_differences.items():
        drawn[f"ranks-{name}"] = rank_chart(findings, findings.views[name], found)
    beside = {"choices": choices_chart(findings), "metrics": metric_chart(findings)}
    drawn |= {name: one for name, one in beside.items() if one is not None}
    return drawn
