"""The microphone of ``rnnkit transcribe --live``, by the package sounddevice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from ..errors import ConfigError

_CHUNK = 0.1  # seconds of sound that are read at a time


class Microphone:
    """A device that records.

    Args:
        wanted: its number, or a part of its name; None: the one that the system prefers.
        rate: samples a second.
        typed: the command that takes samples from a pipe, for messages.

    Attributes:
        rate: samples a second of what comes: as asked for, or the device's own where it cannot record so.

    Raises:
        ConfigError: sounddevice is not there, or no such device; the message says what to type.
    """

    def __init__(self, wanted: str | None, rate: int, typed: str) -> None:
        self._sounddevice = _sounddevice(rate, typed)
        self._device, known = self._find(wanted)
        self.rate = rate
        self._refused = (self._sounddevice.PortAudioError, ValueError)  # ValueError: a device that is gone
        try:
            self._sounddevice.check_input_settings(device=self._device, channels=1, samplerate=rate, dtype="float32")
        except self._refused:
            self.rate = int(known["default_samplerate"])
        self._lost = 0

    def __iter__(self) -> Iterator[Any]:
        """Yield samples [n] as they come, until Ctrl-C."""
        block = max(1, round(_CHUNK * self.rate))
        options = {"samplerate": self.rate, "channels": 1, "dtype": "float32", "blocksize": block}
        try:
            stream = self._sounddevice.InputStream(device=self._device, **options)
        except self._refused as error:
            raise ConfigError(
                f"the microphone cannot be opened ({error}); choose another one by --input: --input list shows all"
            ) from error
        count = 0
        with stream:
            while True:
                samples, overflowed = stream.read(block)
                if overflowed:
                    self._lost += 1
                    if self._lost == 1:
                        typer.echo(
                            f"sound was lost at {count / self.rate:.1f} s: this machine recognises more slowly than it "
                            "is spoken",
                            err=True,
                        )
                count += len(samples)
                yield samples[:, 0]

    def close(self) -> None:
        """Report how often sound was lost."""
        if self._lost > 1:
            typer.echo(f"sound was lost {self._lost} times", err=True)

    def _find(self, wanted: str | None) -> tuple[Any, Any]:
        """Return number and description of a device; of the preferred one None for its number."""
        devices = recording_devices(self._sounddevice)
        if not devices:
            raise ConfigError("no device records here; connect a microphone, or pipe samples in")
        if wanted is None:
            preferred = _preferred(self._sounddevice)
            return next(iter(devices.items())) if preferred is None else (None, preferred)
        if wanted.isdigit() and int(wanted) in devices:
            return int(wanted), devices[int(wanted)]
        named = {number: one for number, one in devices.items() if wanted.casefold() in one["name"].casefold()}
        if len(named) != 1:
            found = "no device" if not named else f"{len(named)} devices"
            raise ConfigError(
                f"--input {wanted} arrived; {found} of that name {'records' if not named else 'record'} here: "
                + "; ".join(f"{number} {one['name']}" for number, one in (named or devices).items())
            )
        return next(iter(named.items()))


def list_microphones(rate: int, typed: str) -> list[str]:
    """Return a line for each device that records: its number, name, channels and rate.

    Args:
        rate, typed: for messages, as of `Microphone`.

    Raises:
        ConfigError: sounddevice is not there.
    """
    found = _sounddevice(rate, typed)
    preferred = _preferred(found) or {"name": None}
    return [
        f"{number}  {one['name']}  {one['default_samplerate']:.0f} Hz"
        + ("  (preferred)" if one["name"] == preferred["name"] else "")
        for number, one in recording_devices(found).items()
    ]


def recording_devices(sounddevice: Any) -> dict[int, Any]:
    """Return the devices that record, by their numbers."""
    return {number: one for number, one in enumerate(sounddevice.query_devices()) if one["max_input_channels"] > 0}


def _preferred(sounddevice: Any) -> Any:
    """Return the description of the device that the system prefers; None: it prefers none."""
    try:
        return sounddevice.query_devices(kind="input")
    except (sounddevice.PortAudioError, ValueError):
        return None


def _sounddevice(rate: int, typed: str) -> Any:
    try:
        import sounddevice  # type: ignore[import-not-found]
    except (ImportError, OSError) as error:  # OSError: the package is there, and the library PortAudio is not
        needs = "the library PortAudio" if isinstance(error, OSError) else "the package sounddevice"
        typing = "apt-get install libportaudio2" if isinstance(error, OSError) else "pip install sounddevice"
        raise ConfigError(
            f"the microphone needs {needs}; type `{typing}`, or pipe samples in: `arecord -r {rate} -f S16_LE -t raw | "
            f"{typed}`"
        ) from None
    return sounddevice
