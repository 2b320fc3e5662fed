"""The common parts of dashboards: variables, links to each other, and annotations for alerts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

from dashboards import market, panels, sql

EVERYTHING: Final = models.VariableOption(selected=True, text=["All"], value=["$__all"])
TAG: Final = "mdp"


def board(uid: str, title: str, description: str, shown: Sequence[panels.Panel]) -> builders.Dashboard:
    """A dashboard of Prometheus metrics, with panels in order."""
    made = _board(uid, title, description, shown).annotation(_alerts())
    made.with_variable(_source("datasource", "Prometheus", "prometheus", "mdp-prometheus"))
    made.with_variable(_label("job", "Deployment", "stream_partition_events").all_value("mdp.*"))
    made.with_variable(_label("topic", "Topic", f"stream_partition_events{{{panels.IN_JOB}}}").all_value(".*"))
    return made.with_variable(
        _label("partition", "Partition", f"stream_partition_events{{{panels.IN_TOPIC}}}").all_value(".*")
    )


def market_board(uid: str, title: str, description: str, shown: Sequence[sql.Panel]) -> builders.Dashboard:
    """A dashboard of one symbol, from the database."""
    made = _board(uid, title, description, shown)
    made.with_variable(_source("database", "Database", str(sql.DATABASE.type_val), "mdp-timescaledb"))
    for name, label, condition in (
        ("provider", "Provider", ""),
        ("symbol", "Symbol", " AND provider = ${provider:sqlstring}"),
        ("interval", "Windows", " AND provider = ${provider:sqlstring} AND symbol = ${symbol:sqlstring}"),
    ):
        made.with_variable(_column(name, label, condition))
    first = models.VariableOption(True, *next(iter(market.BARS.items())))
    lengths = ", ".join(f"{length} : {relation}" for length, relation in market.BARS.items())
    return made.with_variable(builders.CustomVariable("bars").label("Bars").values(lengths).current(first))


def _board(
    uid: str, title: str, description: str, shown: Sequence[panels.Panel] | Sequence[sql.Panel]
) -> builders.Dashboard:
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
    )
    for number, panel in enumerate(shown, start=1):
        made.with_panel(panel.id(number))
    return made


def _source(name: str, label: str, kind: str, provisioned: str) -> builders.DatasourceVariable:
    """The data source; by default the one in configs/grafana/provisioning."""
    option = models.VariableOption(selected=True, text=label, value=provisioned)
    return builders.DatasourceVariable(name).label(label).type(kind).current(option)


def _label(name: str, label: str, series: str) -> builders.QueryVariable:
    """A choice of one, several or all values of the label `name` in these series."""
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(panels.DATASOURCE)
        .query({"query": f"label_values({series}, {name})", "refId": name})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .current(EVERYTHING)
    )


def _column(name: str, label: str, condition: str) -> builders.QueryVariable:
    """A choice of one value of a column in the series of bars."""
    query = f"SELECT DISTINCT \"{name}\" FROM series WHERE relation = 'bars_ohlcv'{condition} ORDER BY 1"  # noqa: S608
    variable = builders.QueryVariable(name).label(label).datasource(sql.DATABASE).query(query)
    return variable.refresh(models.VariableRefresh.ON_DASHBOARD_LOAD)


def _other_boards() -> builders.DashboardLink:
    link = builders.DashboardLink("Dashboards").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(True).include_vars(True).keep_time(True)


def _alerts() -> builders.AnnotationQuery:
    firing = builders.AnnotationQuery().name("Alerts").datasource(panels.DATASOURCE).enable(True).icon_color("red")
    return firing.expr(f'ALERTS{{alertstate="firing", {panels.IN_JOB}}}')
