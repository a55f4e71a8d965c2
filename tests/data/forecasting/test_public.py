"""Public time series: from the user's folder, from the network, or from the package vega-datasets."""

import hashlib
import importlib

import pytest

from rnnkit.data.download import File
from rnnkit.data.forecasting import public
from rnnkit.data.public_files import PublicFiles
from rnnkit.errors import ConfigError, DataError, DownloadError, MissingExtraError

BODY = b"ds,y\n2024-01-01,1\n"


@pytest.fixture(autouse=True)
def _nothing_on_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RNNKIT_DATA", raising=False)
    monkeypatch.setattr(public, "_PACKAGE", "rnnkit_no_such_package")


def test_a_set_on_the_network_is_downloaded(monkeypatch, tmp_path, new_mirror):
    mirror = new_mirror({})
    mirror.answers["ETT-small/ETTh1.csv"] = BODY
    file = File("ETTh1.csv", len(BODY), hashlib.sha256(BODY).hexdigest())
    known = public.DOWNLOADED["etth1"]
    monkeypatch.setitem(public.DOWNLOADED, "etth1", known._replace(address=mirror.url, files=(file,)))
    assert public.find_series("etth1") == tmp_path / "cache" / "ett" / "ETTh1.csv"
    assert public.find_series("etth1").read_bytes() == BODY
    monkeypatch.setitem(public.DOWNLOADED, "etth1", known._replace(address=f"{mirror.url}gone/"))
    with pytest.raises(DownloadError, match="hourly, 7 variables"):
        public.find_series("etth1")


def test_addresses_name_a_commit():
    for source in public.DOWNLOADED.values():
        assert isinstance(source, PublicFiles)
        assert len(source.address.rstrip("/").rpartition("/")[2]) == 40
        assert set(source.remote) == {file.name for file in source.files}


def test_a_set_of_the_package(monkeypatch, tmp_path):
    data = tmp_path / "site" / "tiny_vega" / "_data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text("raise SystemExit('imported')")
    (data / "stocks.csv").write_bytes(BODY)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    monkeypatch.setattr(public, "_PACKAGE", "tiny_vega")
    assert public.find_series("stocks") == data / "stocks.csv"


def test_without_the_package_its_installation_is_named(monkeypatch, tmp_path):
    with pytest.raises(MissingExtraError) as error:
        public.find_series("seattle-weather")
    assert str(error.value) == (
        "seattle-weather.csv is a file of the package vega-datasets, which is not installed; type pip install "
        "vega-datasets, or put the file into the folder timeseries of RNNKIT_DATA"
    )
    own = tmp_path / "own" / "timeseries"
    own.mkdir(parents=True)
    (own / "stocks.csv").write_bytes(BODY)
    monkeypatch.setenv("RNNKIT_DATA", str(tmp_path / "own"))
    with pytest.raises(DataError, match="stocks.csv is altered"):
        public.find_series("stocks")
    file = File("stocks.csv", len(BODY), hashlib.sha256(BODY).hexdigest())
    monkeypatch.setitem(public.PACKAGED, "stocks", file)
    assert public.find_series("stocks") == own / "stocks.csv"


def test_another_name_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'etth1'"):
        public.find_series("ett1")
