import math
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from contracts.condition_words import CONDITION_WORDS
from features.rolling.feature_config import RESERVED, FeatureConfig
from inference.conditions import ConditionError, compile_condition

NAMES = ("a", "b", "ret-30s")


def holds(condition: str, a: float | None, b: float | None = 1.0) -> bool:
    frame = pl.DataFrame({"a": [a], "b": [b], "ret-30s": [2.0]}, schema=dict.fromkeys(NAMES, pl.Float64))
    value = frame.select(compile_condition(condition, NAMES)).item()
    assert isinstance(value, bool)
    return value


@pytest.mark.parametrize(
    ("condition", "a", "expected"),
    [
        ("a > 0.01", 0.01, False),
        ("a > 0.01", math.nextafter(0.01, 1), True),
        ("a < -0.01", -0.02, True),
        ("a >= 0.3 and b = 1", 0.3, True),
        ("a / b > 1", 1.5, True),
        ("a between 0.1 and 0.2", 0.2, True),
        ("a in (0.1, 2)", 0.1, True),
        ("a not in (0.1, 2)", 0.1, False),
        ("not a > 1 or b <> 1", 1.0, True),
        ("abs(round(a, 1)) = 0.3", -0.26, True),
        ("case when a > 1 then b > 5 else b < 5 end", 0.5, True),
        ("greatest(a, b) + sqrt(a) - ln(b) > least(a, b) * pow(a, 2) % 7", 4.0, True),
        ('"ret-30s" > a', 1.0, True),
        ("a > 1e-3 -- a comment", 0.1, True),
        ("a > 1" + " or a > 1" * 100, 2.0, True),
    ],
)
def test_sql_expressions_over_one_row_are_computed(condition: str, a: float, expected: bool) -> None:
    assert holds(condition, a) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a > 1", False),
        ("not (a > 1)", False),
        ("not a > 1 and b = 1", False),
        ("a in (1, 2)", False),
        ("a not in (1, 2)", False),
        ("a = null", False),
        ("b / nullif(b - 1, 0) > 0", False),
        ("a > 1 or b = 1", True),
        ("a is null", True),
        ("coalesce(a, 5) > 1", True),
    ],
)
def test_a_condition_on_a_null_is_false_unless_it_asks_for_null(condition: str, expected: bool) -> None:
    assert holds(condition, None) is expected


@pytest.mark.parametrize(
    "condition",
    [
        "a > avg(a)",
        "sum(a) > 1",
        "max(a) over (partition by b) > 1",
        "a > 0 and a > lag(a) over (order by b)",
        "row_number() over () > 1",
        "count(*) > 1",
        "first(a) > 1",
        "median(a) > b",
        "unnest(a) > 1",
        "a in (select 1)",
        "a > (select max(a) from self)",
        "exists (FROM self)",
        "a > 0 union select 1",
        "now() > a",
        "a in (current_date)",
        "a > date '2020-01-01'",
        "random() > 0.5",
        "nonsense(a) > 1",
        "cast(a as int) > 1",
        "a // 2 > 1",
        "columns('a') > 1",
        '"^a.*$" > 1',
        "*",
        "self.a > 1",
        "a[1] > 1",
        "a > 'x'",
        "'x' = 'x'",
        "true",
        "a",
        "a + 1",
        "null",
        "a > 1 as name",
        "a > 1; drop table bars",
        "a > 1 order by b",
        "a >",
        "",
        "  ",
        "(" * 900 + "a > 1",
        "a > 1" + " or a > 1" * 10_000,
        "not " * 200 + "a > 1",
    ],
)
def test_what_is_not_a_boolean_of_one_row_is_refused_in_one_line(condition: str) -> None:
    with pytest.raises(ConditionError) as refused:
        compile_condition(condition, NAMES)
    assert str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_query_is_refused_before_anything_reads_its_files(tmp_path: Path) -> None:
    file = tmp_path / "secret.csv"
    file.write_text("password\n", encoding="utf-8")
    for condition in (
        f"a in (select x from read_csv('{file}'))",
        f"exists (from read_csv('{file}'))",
        f"a > (/**/SeLeCt max(x) from read_csv('{file}'))",
        f"a in (with t as (select * from read_csv('{file}')) select x from t)",
    ):
        with pytest.raises(ConditionError, match="cannot hold a query") as refused:
            compile_condition(condition, NAMES)
        assert "password" not in str(refused.value)


def test_unknown_names_are_told_with_the_known_ones() -> None:
    with pytest.raises(ConditionError, match=r"^unknown A, c; did you mean a\?; known: a, b, ret-30s$"):
        compile_condition("a > 1 and A > 1 or c > b", NAMES)


@pytest.mark.parametrize("name", ["order", "user", "limit", "group", "interval", "end"])
def test_a_feature_that_is_called_like_a_word_of_sql_is_named_in_quotes(name: str) -> None:
    with pytest.raises(ConditionError, match=f'{name} is also a word of SQL: write it as "{name}"'):
        compile_condition(f"{name} > 1", [name, "a"])
    frame = pl.DataFrame({name: [1.0, 2.0], "a": [0.0, 0.0]})
    assert frame.select(compile_condition(f'"{name}" > 1', [name, "a"])).to_series().to_list() == [False, True]


WORDS = (Path(__file__).parents[1] / "data" / "sql_words.txt").read_text(encoding="utf-8").split()
PLACES = ("{} > 1", "a > 1 and {} > 1", "{} + a > 3", "coalesce({}, a) > 1", "a < {} and b = 1", "not {} > 1")


def answer(condition: str, frame: pl.DataFrame) -> list[bool] | str:
    try:
        return frame.select(compile_condition(condition, frame.columns)).to_series().to_list()
    except ConditionError as error:
        return str(error)


@pytest.mark.parametrize("place", PLACES)
def test_every_word_of_sql_is_a_name_in_quotes_and_else_that_name_or_refused_unless_no_feature_has_it(
    place: str,
) -> None:
    names = [word for word in WORDS if word not in RESERVED | CONDITION_WORDS]
    assert len(names) > 1_000
    reference = pl.DataFrame({"x": [1.0, 2.0], "a": [0.0, 2.0], "b": [1.0, 1.0]})
    expected = answer(place.format("x"), reference)
    assert isinstance(expected, list)
    for name in names:
        frame = reference.rename({"x": name})
        assert answer(place.format(f'"{name}"'), frame) == expected, name
        bare = answer(place.format(name), frame)
        assert bare == expected or f'; {name} is also a word of SQL: write it as "{name}"' in bare, (name, bare)


@pytest.mark.parametrize("word", sorted(CONDITION_WORDS))
def test_a_word_that_a_condition_would_take_for_something_else_is_no_name_of_a_feature(word: str) -> None:
    with pytest.raises(ValidationError, match=f"'{word}' is a word of conditions"):
        FeatureConfig(name=word, kind="vwap", horizon="60s")


def test_a_name_that_is_nearly_right_is_set_right() -> None:
    with pytest.raises(ConditionError, match=r"^unknown momentun; did you mean momentum\?; known: momentum, rsi$"):
        compile_condition("momentun > 1", ["momentum", "rsi"])
