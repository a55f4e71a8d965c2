"""The example that looks into two readers, on few made digits."""

from digits import on_made_digits
from empty_pictures import empty_pictures

from examples import inspect_a_run

__all__ = ["empty_pictures", "on_made_digits"]


def test_it_tells_the_two_networks_apart(tmp_path, capsys):
    well, ill = inspect_a_run.main(images=160, epochs=3, out=tmp_path)
    assert well == "Nothing wrong was found."
    assert "nits are saturated" in ill
    printed = capsys.readouterr().out
    assert "ill: " + ill in printed
    for name, verdict in (("well", well), ("ill", ill)):
        assert f"<h1>{verdict}</h1>" in (tmp_path / f"inspect_{name}.html").read_text(encoding="utf-8")
