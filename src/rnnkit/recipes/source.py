"""Where a recipe for series reads its rows, and how it divides and prepares them. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ..errors import ConfigError
from ..tasks.ranges import Seed, Share
from .table_settings import TableSettings

# The arguments of ``read_series`` by the setting's name.
ARGUMENTS = {
    "id": "id_column",
    "time": "time_column",
    "group": "group_column",
    "values": "value_columns",
    "ignore": "ignore_columns",
    "keep": "keep_columns",
    **{
        name: name
        for name in (
            "format", "layout", "encoding", "delimiter", "decimal", "thousands", "header", "comment", "missing_codes",
            "time_format", "duplicates", "size",
        )
    },
}  # fmt: skip


@dataclass(frozen=True)
class Source(TableSettings):
    """The files, and how their rows are divided and prepared. Columns are guessed where they are not named.

    Attributes:
        path: a CSV, TSV, .npz, .parquet, .ts or .arff file, or a folder with a folder of CSVs or images for each class.
        test: a second file for the test; none holds `test_share` of the rows of `path` back.
        test_share: share of the rows held back, where no `test` is given; 0 trains on all.
        validation: share of the rows watched while training, for `fit.early_stopping`.
        split: rows at random (each class alike), whole groups, or the earliest for training and the latest for test.
        split_seed: of the division; it does not follow `seed`, so that seeds are judged on the same rows.
        format: of the files, where their suffix does not say it.
        layout: long (a row a time step) or wide (a row a series); none decides by the columns.
        id: name of the column that says which series a row belongs to.
        time: name of the column with the time stamps.
        group: name of the column with the groups, which no split divides.
        values: names of the columns that hold the measurements; none takes all that are nothing else.
        ignore: names of columns to leave out.
        keep: names of columns that stay though they look like row numbers.
        duplicates: what becomes of rows of one series with the same time stamp.
        size: height and width in pixels to which images are resized, as in 28,28; none takes images of one size.
        scale: of each channel, measured on the training rows.
        missing: gaps are filled; indicator adds an input that says where, indicator+elapsed also since when.
    """

    group_name: ClassVar[str] = "data"

    test: str | None = None
    test_share: Share = 0.2
    validation: Share = 0.0
    split: Literal["random", "group", "time"] = "random"
    split_seed: Seed = 0
    format: str | None = None
    layout: Literal["long", "wide"] | None = None
    id: str | None = None
    time: str | None = None
    group: str | None = None
    values: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    duplicates: Literal["keep", "first", "last", "mean", "error"] = "keep"
    size: tuple[int, int] | None = None
    scale: Literal["standard", "minmax", "none"] = "standard"
    missing: Literal["fill", "indicator", "indicator+elapsed"] = "fill"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.validation + (self.test_share if self.test is None else 0) >= 1:
            raise ConfigError(
                f"data.validation={self.validation} and data.test_share={self.test_share} arrived; expected shares "
                "that leave rows to train on"
            )
        if self.size is not None and min(self.size) < 1:
            shown = ",".join(map(str, self.size))
            raise ConfigError(f"data.size={shown} arrived; expected height and width of at least 1, as in 28,28")

    def columns(self) -> dict[str, Any]:
        """Return the arguments of ``read_series`` that were set."""
        return {name: value for name, value in self.given(ARGUMENTS).items() if value != "keep"}
