"""What all dashboards have in common: the choices at their top, the links between them, marks where alerts fire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

from dashboards.panels import DATASOURCE, IN_JOB, IN_TOPIC, Panel

PROVISIONED: Final = models.VariableOption(selected=True, text="Prometheus", value="mdp-prometheus")
EVERYTHING: Final = models.VariableOption(selected=True, text=["All"], value=["$__all"])
TAG: Final = "mdp"


def board(uid: str, title: str, description: str, panels: Sequence[Panel]) -> builders.Dashboard:
    """A dashboard of these panels, laid out in their order."""
    made = (
        builders.Dashboard(f"mdp: {title}")
        .uid(uid)
        .description(description)
        .tags([TAG])
        .readonly()
        .time("now-30m", "now")
        .refresh("10s")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(_other_boards())
        .annotation(_alerts())
        .with_variable(_datasource())
    )
    for variable in (
        _choice("job", "Deployment", "stream_partition_events").all_value("mdp.*"),
        _choice("topic", "Topic", f"stream_partition_events{{{IN_JOB}}}").all_value(".*"),
        _choice("partition", "Partition", f"stream_partition_events{{{IN_TOPIC}}}").all_value(".*"),
    ):
        made.with_variable(variable)
    for number, panel in enumerate(panels, start=1):
        made.with_panel(panel.id(number))
    return made


def _datasource() -> builders.DatasourceVariable:
    variable = builders.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    return variable.current(PROVISIONED)


def _choice(name: str, label: str, series: str) -> builders.QueryVariable:
    """One, several or all of the values that the label `name` has in these series."""
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": f"label_values({series}, {name})", "refId": name})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .current(EVERYTHING)
    )


def _other_boards() -> builders.DashboardLink:
    link = builders.DashboardLink("Dashboards").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(True).include_vars(True).keep_time(True)


def _alerts() -> builders.AnnotationQuery:
    firing = builders.AnnotationQuery().name("Alerts").datasource(DATASOURCE).enable(True).icon_color("red")
    return firing.expr(f'ALERTS{{alertstate="firing", {IN_JOB}}}')
