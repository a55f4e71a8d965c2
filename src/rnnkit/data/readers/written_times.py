"""Times as they are written in Chinese and Japanese: ``2024年1月5日 下午3时30分`` is ``2024-01-05 15:30``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

if TYPE_CHECKING:
    import pandas as pd

_MORNING = "上午 午前 凌晨 清晨 早上 早晨 早"
_AFTERNOON = "下午 午后 午後 傍晚"
_EVENING = "晚上 夜里 夜晚 晚"
_NOON = "中午 正午"
_WORDS = "|".join(f"{_MORNING} {_AFTERNOON} {_EVENING} {_NOON}".split())
_HALF = re.compile(_WORDS)
_STAMP = re.compile(
    rf"""
    (?: (?P<year>\d{{4}})\s*年 (?: \s*(?P<month>\d{{1,2}})\s*月 (?: \s*(?P<day>\d{{1,2}})\s*[日号號] )? )?
      | (?P<date>\d{{1,4}}(?P<mark>[-/.])\d{{1,2}}(?P=mark)\d{{1,4}}) )?
    (?: \s*\(? (?: (?:星期|周|週|礼拜|禮拜)[一二三四五六日天] | [月火水木金土日]曜日? ) \)? | \s*\([月火水木金土日]\) )?
    \s* (?P<half>{_WORDS})?
    \s* (?: (?P<hour>\d{{1,2}})\s* (?: [时時点點] | :(?=\s*\d) )
        \s* (?: (?P<thirty>半) | 整 | (?P<minute>\d{{1,2}})\s* (?: 分 | :(?=\s*\d) | $ )
            \s* (?: (?P<second>\d{{1,2}})(?P<fraction>\.\d+)?\s*秒? )? )? )?
    """,
    re.VERBOSE,
)


def half_named(text: str) -> bool:
    """Whether a word says which half of the day is meant, as in ``下午3:00``.

    Example:
        >>> half_named("下午 3:00"), half_named("15:00")
        (True, False)
    """
    return not text.isascii() and _HALF.search(text) is not None


def plain_times(text: pd.Series[Any]) -> pd.Series[Any]:
    """Write stamps with Chinese characters or full-width digits as ``2024-01-05 15:30:00``; what is none stays."""
    unique = [cell for cell in text.unique().tolist() if not cell.isascii()]
    return text.replace({cell: plain_time(cell) for cell in unique}) if unique else text


def plain_time(cell: str) -> str:
    """Return one stamp as `plain_times` writes it; the cell itself where a part is no such time.

    Example:
        >>> plain_time("2024年1月5日 15时30分"), plain_time("下午 3:00"), plain_time("凌晨12点半")
        ('2024-01-05 15:30:00', '15:00:00', '00:30:00')
        >>> plain_time("２０２４年１月５日"), plain_time("2024年13月"), plain_time("下午")
        ('2024-01-05', '2024年13月', '下午')
    """
    plain = normalize("NFKC", cell).strip()
    if plain.isascii():
        return plain
    match = _STAMP.fullmatch(plain)
    if match is None:
        return cell
    date, clock = _date(match), _clock(match)
    if date is None or clock is None:
        return cell
    return f"{date} {clock}".strip() or cell


def _date(match: re.Match[str]) -> str | None:
    """The date, empty where there is none; None where a number is out of range."""
    if match["date"]:
        return match["date"]
    if match["year"] is None:
        return ""
    numbers = [match["year"], *(number.zfill(2) for number in (match["month"], match["day"]) if number)]
    if int(match["month"] or 1) not in range(1, 13) or int(match["day"] or 1) not in range(1, 32):
        return None
    return "-".join(numbers)


def _clock(match: re.Match[str]) -> str | None:
    """The time of day on a clock of 24 hours, empty where there is none; None where it is no time."""
    if match["hour"] is None:
        return None if match["half"] else ""
    hour = _hour(int(match["hour"]), match["half"] or "")
    minute, second = (30 if match["thirty"] else int(match["minute"] or 0)), int(match["second"] or 0)
    if hour is None or minute > 59 or second > 59:
        return None
    return f"{hour:02}:{minute:02}:{second:02}{match['fraction'] or ''}"


def _hour(hour: int, half: str) -> int | None:
    """The hour of 24; None where the word cannot stand beside the number."""
    if not half:
        return hour if hour <= 24 else None
    if half in _MORNING.split():
        return 0 if hour == 12 else hour if hour < 12 else None
    if half in _NOON.split():
        return hour if hour in (10, 11, 12, 13, 14) else hour + 12 if hour in (1, 2) else None
    if half in _EVENING.split() and hour in (0, 12):
        return None  # midnight: of which day differs
    return hour + 12 if hour < 12 else hour if hour < 24 else None
