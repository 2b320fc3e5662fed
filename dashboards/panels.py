"""Panels in the common style of all dashboards, each with unit, description and series."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Final, NamedTuple, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_options
from grafana_foundation_sdk.models import prometheus as queries

DATASOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
OBJECTIVE: Final = "objective"
GOOD, WARN, BAD = "green", "orange", "red"

# The matchers of a dashboard's variables.
IN_JOB: Final = 'job=~"$job"'
IN_TOPIC: Final = f'{IN_JOB}, topic=~"$topic"'
IN_PARTITION: Final = f'{IN_TOPIC}, partition=~"$partition"'

WINDOW_MS: Final = f"job:microbatch_window_ms:max{{{IN_JOB}}}"  # what objectives are multiples of

Panel = timeseries.Panel | stat.Panel | bargauge.Panel | statetimeline.Panel | heatmap.Panel
_PanelT = TypeVar("_PanelT", timeseries.Panel, stat.Panel, bargauge.Panel, statetimeline.Panel, heatmap.Panel)


class Series(NamedTuple):
    """A query, and the name of each of its results: `{{label}}` stands for the label's value."""

    expr: str
    legend: str


def graph(
    title: str, unit: str, meaning: str, *series: Series, objective: str | None = None, stacked: bool = False
) -> timeseries.Panel:
    """Values over time; `objective` is a query for their upper limit, drawn as a dashed line."""
    panel = _described(timeseries.Panel(), title, meaning, width=12, height=8).unit(unit).min(0)
    panel.legend(_legend()).tooltip(_tooltip()).fill_opacity(40 if stacked else 8).line_width(1)
    panel.show_points(options.VisibilityMode.NEVER)
    if stacked:
        panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    if objective is not None:
        series = (*series, Series(objective, OBJECTIVE))
        panel.override_by_name(OBJECTIVE, _dashed())
    return _asking(panel, series)


def number(
    title: str, unit: str, meaning: str, series: Series, *thresholds: tuple[float, str], width: int = 6
) -> stat.Panel:
    """The newest value, in large digits; a threshold is the value from which on it has that colour."""
    panel = _described(stat.Panel(), title, meaning, width, height=5).unit(unit).decimals(0)
    panel.thresholds(_thresholds(thresholds)).graph_mode(options.BigValueGraphMode.AREA)
    return _asking(panel.reduce_options(_newest()), [series])


def bars(title: str, unit: str, meaning: str, *series: Series, limits: bool = False) -> bargauge.Panel:
    """The newest value of each series as a bar; with `limits`, 1 is the limit."""
    panel = _described(bargauge.Panel(), title, meaning, width=12, height=5).unit(unit).min(0)
    panel.orientation(options.VizOrientation.HORIZONTAL).display_mode(options.BarGaugeDisplayMode.BASIC)
    panel.reduce_options(_newest())
    if limits:
        panel.max(1).thresholds(_thresholds([(0.8, WARN), (1.0, BAD)]))
    else:
        panel.thresholds(_thresholds([]))
    return _asking(panel, series)


def states(title: str, meaning: str, series: Series, on: str, off: str) -> statetimeline.Panel:
    """When each series was 1, and when 0."""
    named = {"0": models.ValueMappingResult(text=off, color=GOOD), "1": models.ValueMappingResult(text=on, color=BAD)}
    panel = _described(statetimeline.Panel(), title, meaning, width=12, height=8).unit("none")
    panel.mappings([models.ValueMap(options=named)]).show_value(options.VisibilityMode.NEVER)
    panel.legend(common.VizLegendOptions().show_legend(True).placement(options.LegendPlacement.BOTTOM))
    return _asking(panel, [series])


def distribution(title: str, unit: str, meaning: str, buckets: str) -> heatmap.Panel:
    """How many observations fell into each bucket of a histogram, over time."""
    panel = _described(heatmap.Panel(), title, meaning, width=12, height=8).unit("short")
    panel.y_axis(heatmap.YAxisConfig().unit(unit)).calculate(False)
    panel.color(heatmap.HeatmapColorOptions().mode(heatmap_options.HeatmapColorMode.SCHEME).scheme("Blues").steps(32))
    query = _query(0, Series(buckets, "{{le}}")).format(queries.PromQueryFormat.HEATMAP)
    return panel.with_target(query)


def quantiles(metric: str, matchers: str, by: str = "") -> list[Series]:
    """Median, 95th and 99th percentile of a histogram, for each value of the label `by` if one is given."""
    labels = f"{by}, le" if by else "le"
    name = f"{{{{{by}}}}} " if by else ""
    counts = f"sum by ({labels}) (rate({metric}_bucket{{{matchers}}}[$__rate_interval]))"
    return [
        Series(f"histogram_quantile({quantile}, {counts})", f"{name}p{quantile * 100:.0f}")
        for quantile in (0.5, 0.95, 0.99)
    ]


def _described(panel: _PanelT, title: str, meaning: str, width: int, height: int) -> _PanelT:
    return panel.title(title).description(meaning).datasource(DATASOURCE).span(width).height(height)


def _asking(panel: _PanelT, series: Sequence[Series]) -> _PanelT:
    for number, each in enumerate(series):
        panel.with_target(_query(number, each))
    return panel


def _query(number: int, series: Series) -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(series.expr).legend_format(series.legend).range()
    return query.ref_id(ascii_uppercase[number]).datasource(DATASOURCE)


def _legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().show_legend(True).display_mode(options.LegendDisplayMode.TABLE)
    return legend.placement(options.LegendPlacement.BOTTOM).calcs(["lastNotNull", "max"])


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING)


def _newest() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _thresholds(steps: Sequence[tuple[float, str]]) -> dashboard.ThresholdsConfig:
    all_steps = [models.Threshold(value=None, color=GOOD), *(models.Threshold(value, color) for value, color in steps)]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(all_steps)


def _dashed() -> list[models.DynamicConfigValue]:
    return [
        models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": BAD}),
        models.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}),
        models.DynamicConfigValue("custom.fillOpacity", 0),
        models.DynamicConfigValue("custom.stacking", {"mode": "none"}),
    ]
