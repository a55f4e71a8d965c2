"""Public time series that the recipes for forecasts read."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ...errors import MissingExtraError, check_choice
from ..download import File
from ..public_files import PublicFiles, find_files, find_given

# Sizes and hashes were computed from the files of these commits.
DOWNLOADED = {
    "etth1": PublicFiles(
        "ett",
        "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/1d16c8f4f943005d613b5bc962e9eeb06058cf07/",
        (File("ETTh1.csv", 2_589_657, "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"),),
        {"ETTh1.csv": "ETT-small/ETTh1.csv"},
        "an electricity transformer, hourly, 7 variables, CC BY-ND 4.0",
    ),
    # PJM's load as it is on Kaggle (robikscube/hourly-energy-consumption), which asks for an account: a public copy.
    "aep": PublicFiles(
        "timeseries",
        "https://raw.githubusercontent.com/pspeishi/time-series-forecasting/352cbbc2b4a65557ffdd7e00a380ddddee5f5748/",
        (File("AEP_hourly.csv", 2_612_362, "81699c1e3d919298dc7146c551a39d610040ded8aaef687c0f6ef694afacb2d3"),),
        {"AEP_hourly.csv": "data/AEP_hourly.csv"},
        "hourly load of American Electric Power, 2004 to 2018",
    ),
}
# Sizes and hashes of vega-datasets 0.9.0 on PyPI; they are asked of files in RNNKIT_DATA alone.
PACKAGED = {
    "seattle-weather": File(
        "seattle-weather.csv", 47_838, "62f0609f787158128aa2bd102967173a4953122dd4f872bf1d502cae1037df0b"
    ),
    "stocks": File("stocks.csv", 12_245, "f9953ac6693e587476b4ebf2f0b00d9bb95371ca8c39da4cc6155077b3e417cd"),
}
NAMES = (*DOWNLOADED, *PACKAGED)
_PACKAGE = "vega_datasets"


def find_series(name: str) -> Path:
    """Return the table of a public set of time series.

    The folder ``RNNKIT_DATA`` is looked into first. ETTh1 and AEP's load are downloaded else, and stay in the cache.
    Seattle's weather and the stocks are files of the package vega-datasets.

    Args:
        name: "etth1", "aep", "seattle-weather" or "stocks".

    Raises:
        ConfigError: another name.
        DataError: the file in ``RNNKIT_DATA`` has another content.
        DownloadError: no source has it; the message says where to put the file.
        MissingExtraError: vega-datasets is not installed.
    """
    check_choice(name, "name", NAMES)
    if name in DOWNLOADED:
        return find_files(name, DOWNLOADED[name])[0]
    file = PACKAGED[name]
    given = find_given("timeseries", (file,))
    if given is not None:
        return given[0]
    # Importing the package would take a second, and is not needed for its files.
    package = importlib.util.find_spec(_PACKAGE)
    folders = [] if package is None else list(package.submodule_search_locations or ())
    found = next((path for folder in folders if (path := Path(folder) / "_data" / file.name).is_file()), None)
    if found is None:
        raise MissingExtraError(
            f"{file.name} is a file of the package vega-datasets, which is not installed",
            None,
            ("type pip install vega-datasets", "put the file into the folder timeseries of RNNKIT_DATA"),
        )
    return found
