"""Panels of SQL queries on the database, with Grafana's macros and variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from grafana_foundation_sdk.builders import candlestick, common, table, timeseries
from grafana_foundation_sdk.cog import builder, variants
from grafana_foundation_sdk.models import candlestick as candles
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models

DATABASE: Final = models.DataSourceRef(type_val="grafana-postgresql-datasource", uid="${database}")
SIGNAL: Final = "signal"  # the column of the candles that is drawn as points

Panel = candlestick.Panel | table.Panel | timeseries.Panel
_PanelT = TypeVar("_PanelT", candlestick.Panel, table.Panel, timeseries.Panel)


@dataclass(frozen=True, slots=True)
class Query(variants.Dataquery, builder.Builder[variants.Dataquery]):
    """A query: plain rows, or time series from the columns time, metric and value."""

    sql: str
    format: Literal["table", "time_series"] = "table"

    def build(self) -> variants.Dataquery:
        return self

    def to_json(self) -> dict[str, object]:
        return {
            "datasource": DATABASE,
            "editorMode": "code",
            "format": self.format,
            "rawQuery": True,
            "rawSql": self.sql,
            "refId": "A",
        }


def candlesticks(title: str, meaning: str, sql: str) -> candlestick.Panel:
    """Candles and volume from time, open, high, low, close and volume; other columns are drawn over them."""
    panel = _described(candlestick.Panel(), title, meaning, width=24, height=15).unit("none")
    panel.mode(candles.VizDisplayMode.CANDLES_VOLUME).include_all_fields(True)
    panel.legend(common.VizLegendOptions().show_legend(False)).tooltip(_tooltip())
    point = [
        models.DynamicConfigValue("custom.drawStyle", "points"),
        models.DynamicConfigValue("custom.pointSize", 9),
        models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": "blue"}),
    ]
    return panel.override_by_name(SIGNAL, point).with_target(Query(sql))


def rows(title: str, meaning: str, sql: str) -> table.Panel:
    """A table of the query's rows."""
    return _described(table.Panel(), title, meaning, width=12, height=10).unit("none").with_target(Query(sql))


def counts(title: str, unit: str, meaning: str, sql: str) -> timeseries.Panel:
    """Stacked bars over time for each metric."""
    panel = _described(timeseries.Panel(), title, meaning, width=12, height=10).unit(unit).min(0)
    panel.draw_style(options.GraphDrawStyle.BARS).fill_opacity(60).line_width(0)
    panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    panel.legend(common.VizLegendOptions().show_legend(True).placement(options.LegendPlacement.BOTTOM))
    return panel.tooltip(_tooltip()).with_target(Query(sql, "time_series"))


def _described(panel: _PanelT, title: str, meaning: str, width: int, height: int) -> _PanelT:
    return panel.title(title).description(meaning).datasource(DATABASE).span(width).height(height)


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI)
