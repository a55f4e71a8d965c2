"""Where a recipe for forecasts reads its series, and how it divides and prepares them. It loads no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..errors import ConfigError, DataError
from ..tasks.forecast_settings import chosen_calendar
from ..tasks.ranges import Count, Share
from .table_settings import TableSettings
from .wording import DataSettings

if TYPE_CHECKING:
    from ..data.forecasting import ForecastPreprocessing, TimeParts, TimeSeries

# The arguments of ``read_time_series`` by the setting's name.
ARGUMENTS = {
    "id": "id_column",
    "time": "time_column",
    "ignore": "ignore_columns",
    **{
        name: name
        for name in (
            "target", "past", "known", "static", "frequency", "time_zone", "duplicates", "gaps", "encoding",
            "delimiter", "decimal", "thousands", "comment", "missing_codes", "header", "time_format",
        )
    },
}  # fmt: skip
_NONE = ("none",)


@dataclass(frozen=True)
class ForecastSource(TableSettings):
    """The file with the series, and how they are divided and prepared. Columns are guessed where they are not named.

    Attributes:
        path: a CSV, TSV or .parquet file: a row a time step.
        public: the public set that is read where there is no path. It is found in the folder RNNKIT_DATA, or
            downloaded; seattle-weather and stocks are files of the package vega-datasets.
        target: the column to forecast; several are several series.
        id: the column that names the series.
        time: the column with the time stamps.
        past: covariates that are known for the past alone; none in words leaves all others out.
        known: covariates that are known in advance, too.
        static: columns with one value a series.
        ignore: columns to leave out.
        frequency: of the steps, such as hour or 15 minutes; none infers it. Rows of a longer step are joined.
        time_zone: such as Europe/Berlin: of the calendar, and of stamps that name no zone.
        duplicates: what becomes of rows of one series and one step; none is their mean.
        gaps: steps without a row are inserted without values, or rows are steps as they come.
        validation: share of the time that is kept to choose and to calibrate by.
        test: share of the time that is kept to measure on, the latest.
        steps: numbers of steps of training, validation and test, in place of shares.
        dates: when validation and test begin, in place of shares.
        by: all series are divided at the same times, or each by its own length.
        scale: of the targets, measured on the training part; mean divides by 1 and the mean size, none keeps them.
        scale_by: each series has its own scale, or all have one.
        calendar: whether the hour, the weekday and the day of the year are inputs, where the frequency has them; or
            which of them.
        number_series: whether the model learns an embedding of each series.
        shortest: the fewest steps of history of a window; none is the lookback.
        stride: steps from one training window to the next.
    """

    group_name: ClassVar[str] = "data"

    public: Literal["etth1", "aep", "seattle-weather", "stocks"] | None = None
    target: tuple[str, ...] = ()
    id: str | None = None
    time: str | None = None
    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    frequency: str | None = None
    time_zone: str | None = None
    duplicates: Literal["mean", "sum", "first", "last", "error"] | None = None
    gaps: Literal["insert", "ignore", "error"] = "insert"
    validation: Share = 0.1
    test: Share = 0.2
    steps: tuple[int, ...] = ()
    dates: tuple[str, ...] = ()
    by: Literal["time", "series"] = "time"
    scale: Literal["standard", "mean", "none"] = "standard"
    scale_by: Literal["series", "all"] = "series"
    calendar: bool | tuple[Literal["hour", "weekday", "day_of_year", "month"], ...] = True
    number_series: bool = False
    shortest: Count | None = None
    stride: Count = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.validation, self.test) <= 0 or self.validation + self.test >= 1:
            raise ConfigError(
                f"data.validation={self.validation} and data.test={self.test} arrived; expected shares above 0 that "
                "leave steps to train on"
            )
        if self.steps and self.dates:
            raise ConfigError(f"data.steps={self.steps} and data.dates={self.dates} arrived; expected one of them")
        for name, found, count in (("steps", self.steps, 3), ("dates", self.dates, 2)):
            if found and len(found) != count:
                raise ConfigError(f"data.{name}={found} arrived; expected {count} of them")

    def named(self) -> str:
        """Return what the source is called: its path, or the public set."""
        return str(self.public if self.path is None else self.path)

    def read(self) -> TimeSeries:
        """Return the series of the file.

        Raises:
            ConfigError: no file is named. DataError: it cannot be read as series; see `read_time_series`.
        """
        from ..data.forecasting import read_time_series
        from ..data.forecasting.public import find_series

        if self.path is None and self.public is None:
            raise ConfigError("data.path is missing; name the file to learn from: `rnnkit train forecast load.csv`")
        named: dict[str, Any] = {name: () if value == _NONE else value for name, value in self.given(ARGUMENTS).items()}
        with in_forecast_settings():
            return read_time_series(find_series(str(self.public)) if self.path is None else self.path, **named)

    def divide(self, series: TimeSeries) -> TimeParts:
        """Return the parts of the series by time.

        Raises:
            ConfigError, DataError: see `divide_time`.
        """
        from ..data.forecasting import divide_time

        shares = (1 - self.validation - self.test, self.validation, self.test)
        return divide_time(series, self.steps or self.dates or shares, by=self.by)

    def prepare(self, parts: TimeParts, lookback: int, horizon: int) -> ForecastPreprocessing:
        """Return the preprocessing, measured on the training part."""
        from ..data.forecasting import ForecastPreprocessing

        return ForecastPreprocessing.fit(
            parts,
            lookback=lookback,
            horizon=horizon,
            scale=self.scale,
            scale_by=self.scale_by,
            calendar=chosen_calendar(self.calendar),
            series_index=self.number_series,
            shortest=self.shortest,
        )


def forecast_words(*, new: bool = False) -> DataSettings:
    """Return how the command line writes the arguments of ``read_time_series``."""
    return DataSettings({argument: name for name, argument in ARGUMENTS.items()}, new=new)


@contextmanager
def in_forecast_settings(*, new: bool = False) -> Iterator[None]:
    """Write errors about data that a block raises in the words of the command line.

    Args:
        new: whether the data is read for a trained model.
    """
    try:
        yield
    except (DataError, ConfigError) as error:
        raise error.in_words(forecast_words(new=new)) from error
