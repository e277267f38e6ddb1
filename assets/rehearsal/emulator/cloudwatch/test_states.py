"""States of alarms: AWS's own tables, and a slow plain reference for everything between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .states import ALARM, INSUFFICIENT_DATA, OK, STATES, TREATMENTS, next_state

RETAIN = "retain"

# CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data": 3 of 3, then 2 of 3, each in a range of 5.
TABLES = [
    (3, "0 - X - X", OK, OK, OK, OK),
    (3, "0 - - - -", OK, OK, OK, OK),
    (3, "- - - - -", INSUFFICIENT_DATA, RETAIN, ALARM, OK),
    (3, "0 X X - X", ALARM, ALARM, ALARM, ALARM),
    (3, "- - X - -", ALARM, RETAIN, ALARM, OK),
    (2, "0 - X - X", ALARM, ALARM, ALARM, ALARM),
    (2, "0 0 X 0 X", ALARM, ALARM, ALARM, ALARM),
    (2, "0 - X - -", OK, OK, ALARM, OK),
    (2, "- - - - 0", OK, OK, ALARM, OK),
    (2, "- - - X -", ALARM, RETAIN, ALARM, OK),
]


def points(text: str) -> list[bool | None]:
    return [{"0": False, "X": True, "-": None}[word] for word in text.split()]


@pytest.mark.parametrize("datapoints,text,missing,ignore,breaching,not_breaching", TABLES)
def test_tables_of_aws(
    datapoints: int, text: str, missing: str, ignore: str, breaching: str, not_breaching: str
) -> None:
    wanted = dict(zip(TREATMENTS, (missing, ignore, breaching, not_breaching), strict=True))
    for treat, state in wanted.items():
        for now in STATES:
            expected = now if state == RETAIN else state
            assert next_state(points(text), 3, datapoints, treat, now) == expected, (treat, now)


@pytest.mark.parametrize("text", ["- - - - X", "- - - X -"])
@pytest.mark.parametrize("now", STATES)
def test_one_breaching_point_is_not_yet_an_alarm(text: str, now: str) -> None:
    assert next_state(points(text), 3, 3, "missing", now) == now


def reference(breaching: list[bool | None], periods: int, datapoints: int, treat: str, now: str) -> str:
    """The sentences of the user guide, one after the other."""
    newest_first = breaching[::-1]
    real = [entry for entry in newest_first if entry is not None]
    if None not in newest_first[:periods]:
        evaluated = newest_first[:periods]
    elif len(real) >= periods:
        evaluated = list(real[:periods])
    else:
        evaluated = list(real)
        while len(evaluated) < periods:
            evaluated.append({"breaching": True, "notBreaching": False}.get(treat))
    bad = len([entry for entry in evaluated if entry is True])
    good = len([entry for entry in evaluated if entry is False])
    if bad >= datapoints:
        return ALARM
    if good > 0:
        return OK
    if treat == "ignore":
        return now
    if bad == 0:
        return INSUFFICIENT_DATA
    oldest = max(index for index, entry in enumerate(newest_first) if entry is True)
    return ALARM if oldest + 1 >= datapoints else now


@given(st.data())
def test_equals_the_reference(data: st.DataObject) -> None:
    periods = data.draw(st.integers(1, 5))
    datapoints = data.draw(st.integers(1, periods))
    kinds = st.sampled_from([True, False, None])
    breaching = data.draw(st.lists(kinds, min_size=periods + 2, max_size=periods + 2))
    treat, now = data.draw(st.sampled_from(TREATMENTS)), data.draw(st.sampled_from(STATES))
    wanted = reference(breaching, periods, datapoints, treat, now)
    assert next_state(breaching, periods, datapoints, treat, now) == wanted
