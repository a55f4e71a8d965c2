"""Time stamps with Chinese and Japanese characters."""

import numpy as np
import pytest

from rnnkit.data import read_series
from rnnkit.errors import DataError


def times_of(tmp_path, stamps, **options):
    rows = [f"a,{stamp},{index},u" for index, stamp in enumerate(stamps)]
    (tmp_path / "a.csv").write_text("id,时间,x,label\n" + "\n".join(rows))
    return read_series(tmp_path / "a.csv", **options).step_times[0]


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        (["2024年1月5日 15时30分", "2024年11月6日 9时5分"], ["2024-01-05T15:30", "2024-11-06T09:05"]),
        (["2024年1月5日15时30分20秒", "2024年1月5日 15时30分21.5秒"], ["2024-01-05T15:30:20", "2024-01-05T15:30:21.5"]),
        (["2024年1月5日", "2024年1月6号"], ["2024-01-05", "2024-01-06"]),
        (
            ["2024 年 1 月 5 日 星期五 下午3点半", "2024年1月6日 周六 上午10点"],
            ["2024-01-05T15:30", "2024-01-06T10:00"],
        ),
        (["2024年1月", "2024年2月"], ["2024-01-01", "2024-02-01"]),
        (["2024/1/5 上午 9:05:01", "2024/1/5 下午 12:00:00"], ["2024-01-05T09:05:01", "2024-01-05T12:00"]),
        (["25/1/2024 上午 9:05", "25/1/2024 下午 1:00"], ["2024-01-25T09:05", "2024-01-25T13:00"]),
        (["2024-01-05 下午03:00", "2024-01-05 下午15:30"], ["2024-01-05T15:00", "2024-01-05T15:30"]),
        (
            ["２０２４年１月５日　１５：３０", "２０２４年１月６日　１５：３０"],
            ["2024-01-05T15:30", "2024-01-06T15:30"],
        ),
        (["2024年1月5日(金) 午前9時5分", "2024年1月5日(金) 午後0時30分"], ["2024-01-05T09:05", "2024-01-05T12:30"]),
        (["2024年1月5日 23时", "2024年1月5日 24时"], ["2024-01-05T23:00", "2024-01-06T00:00"]),
        (["上午 9:00", "下午 3:00"], ["1900-01-01T09:00", "1900-01-01T15:00"]),
        (
            ["凌晨12:10", "早上8:00", "中午12:30", "晚上9点15分"],
            [f"1900-01-01T{t}" for t in ("00:10", "08:00", "12:30", "21:15")],
        ),
        (["15时30分", "17点", "18點整"], ["1900-01-01T15:30", "1900-01-01T17:00", "1900-01-01T18:00"]),
        (["15：30：05", "16：30：05"], ["1900-01-01T15:30:05", "1900-01-01T16:30:05"]),
    ],
)
def test_times_with_chinese_characters(tmp_path, stamps, expected):
    found = times_of(tmp_path, stamps)
    assert found.tolist() == np.array(expected, "datetime64[us]").tolist()


def test_a_format_of_the_users_own_and_numbers(tmp_path):
    found = times_of(tmp_path, ["2024年5月1日", "2024年5月2日"], time_format="%Y年%d月%m日")
    assert found.tolist() == np.array(["2024-01-05", "2024-02-05"], "datetime64[us]").tolist()
    assert times_of(tmp_path, ["2024年", "2025年"]).tolist() == [2024, 2025]
    assert times_of(tmp_path, ["１", "２"]).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("stamps", "message"),
    [
        (["下午 3:00", "4:00"], "csv:3: column 时间: '4:00' has no 上午 or 下午, but '下午 3:00' has one; write all"),
        (["2024年13月5日", "2024年12月5日"], "'2024年13月5日' is not the time expected"),
        (["2024年12月5日", "2024年13月5日"], "csv:3: column 时间: '2024年13月5日' is not the time expected"),
        (["15时70分", "16时"], "'15时70分' is not the time expected"),
        (["上午15:00", "上午16:00"], "'上午15:00' is not the time expected"),
        (["晚上12点", "晚上11点"], "'晚上12点' is not the time expected"),
        (["1月5日", "1月6日"], "'1月5日' is not the time expected"),
        (["早上", "晚上"], "'早上' is not the time expected"),
    ],
)
def test_what_is_no_time_is_refused_as_it_stands(tmp_path, stamps, message):
    with pytest.raises(DataError) as caught:
        times_of(tmp_path, stamps)
    assert message in str(caught.value)
