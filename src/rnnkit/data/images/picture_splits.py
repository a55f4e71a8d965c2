"""Parts of a set of pictures for training, validation and test, and the record of who is in which."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ...errors import ConfigError, DataError, Place, Remedy, check_choice, check_seed
from ..sentences import listed
from ..series import SeriesSet
from ..splits import split
from .pictures import PictureSet

By = Literal["random", "group", "hash"]


def split_pictures(
    pictures: PictureSet, shares: Sequence[float] = (0.8, 0.2), *, by: By = "random", seed: int = 0
) -> tuple[PictureSet, ...]:
    """Split pictures into parts; the first is the training part.

    - "random": each part gets each label's share, where pictures have labels.
    - "group": no group (patient, slide, video, photo) is in two parts.
    - "hash": the part follows from the name of the group, or of the picture where there are no groups, and the seed
      alone. Pictures that are added later move no other one into another part; the shares are met on the average.

    The parts that a data set's own lists name are taken by ``pictures.part("train")``.

    Args:
        pictures: the set.
        shares: of the pictures, one a part, the sum 1.
        by: see above.
        seed: of the draw.

    Returns:
        One set a share.

    Raises:
        ConfigError: shares that do not make 1, or `by` has no such value.
        DataError: there are fewer pictures or groups than parts, a part is empty, or pictures have no group.

    Example:
        >>> from rnnkit.data.images import Picture
        >>> pictures = PictureSet(tuple(Picture(f"{n}.png", group="xyz"[n % 3], id=f"{n}") for n in range(12)))
        >>> train, test = split_pictures(pictures, (0.67, 0.33), by="group")
        >>> len(train), len(test), set(train.groups) & set(test.groups)
        (8, 4, set())
        >>> train, test = split_pictures(pictures, (0.5, 0.5), by="hash")
        >>> more = PictureSet((*pictures, Picture("new.png", group="new", id="new")))
        >>> set(train) <= set(split_pictures(more, (0.5, 0.5), by="hash")[0])
        True
    """
    check_choice(by, "by", ("random", "group", "hash"))
    groups = [picture.group for picture in pictures]
    if by == "group" and None in groups:
        lacking = groups.count(None)
        raise DataError(
            f"{lacking:,} of {len(pictures):,} {pictures.nouns} have no group",
            Place(pictures.source),
            (Remedy("by", "random"), r'name it where they are read, such as read_pictures(path, group="(patient\d+)")'),
        )
    if by == "hash":
        return _by_hash(pictures, shares, seed)
    there, what = (len(pictures.groups), "groups") if by == "group" else (len(pictures), pictures.nouns)
    if there < len(shares):
        noun = what if there != 1 else what.removesuffix("s")
        raise DataError(f"{there} {noun} arrived; expected at least {len(shares)}, one a part", Place(pictures.source))
    labels = [picture.label for picture in pictures]
    # Series of one value, the number of the picture, are divided in place of the pictures.
    series = SeriesSet.from_arrays(
        np.arange(len(pictures), dtype=np.float64)[:, None],
        None if None in labels else np.asarray(labels, np.str_),
        groups=np.asarray(groups, np.str_) if by == "group" else None,
        source=pictures.source,
    )
    with warnings.catch_warnings():
        if by == "group":  # a label that a group alone has; `split` advises arguments that pictures have not
            warnings.simplefilter("ignore")
        parts = split(series, shares=shares, by=by, seed=seed)
    return tuple(pictures.subset(int(row[0, 0]) for row in part.values) for part in parts)


def write_split(file: str | os.PathLike[str], parts: Mapping[str, PictureSet]) -> None:
    """Write which pictures are in which part, as JSON; `read_split` reads it.

    Args:
        file: its path.
        parts: the pictures of each part by its name, such as {"train": train, "test": test}.

    Raises:
        DataError: a picture is in two parts.

    Example:
        >>> import tempfile
        >>> from rnnkit.data.images import Picture
        >>> pictures = PictureSet((Picture("a.png", id="a"), Picture("b.png", id="b")))
        >>> file = tempfile.mkdtemp() + "/split.json"
        >>> write_split(file, {"train": pictures[:1], "test": pictures[1:]})
        >>> read_split(file, pictures)["test"][0].id
        'b'
    """
    seen: dict[str, str] = {}
    for name, part in parts.items():
        for picture in part:
            if picture.id in seen:
                raise DataError(f"the picture {picture.id} is in the parts {seen[picture.id]!r} and {name!r}")
            seen[picture.id] = name
    content = {name: [picture.id for picture in part] for name, part in parts.items()}
    Path(file).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read_split(file: str | os.PathLike[str], pictures: PictureSet) -> dict[str, PictureSet]:
    """Return the parts that `write_split` wrote.

    Args:
        file: its path.
        pictures: the whole set; pictures that are in no part are left out.

    Raises:
        DataError: there is no such file, it has another form, or a picture is not in the set.

    Example:
        See `write_split`.
    """
    place = Place(str(file))
    try:
        content = json.loads(Path(file).read_text("utf-8"))
    except FileNotFoundError:
        raise DataError("there is no such file", place) from None
    except ValueError as error:
        raise DataError(f"is no JSON ({error})", place) from None
    fits = isinstance(content, dict) and all(isinstance(ids, list) for ids in content.values())
    if not fits:
        raise DataError("expected a list of ids for each part, as write_split writes", place)
    numbers = {picture.id: number for number, picture in enumerate(pictures)}
    lost = [str(id) for ids in content.values() for id in ids if id not in numbers]
    if lost:
        raise DataError(f"{len(lost):,} of its pictures are not in the set: {listed(lost)}", place)
    return {str(name): pictures.subset(numbers[id] for id in ids) for name, ids in content.items()}


def _by_hash(pictures: PictureSet, shares: Sequence[float], seed: int) -> tuple[PictureSet, ...]:
    portions = np.asarray(shares, np.float64)
    if portions.ndim != 1 or len(portions) < 2 or not (portions > 0).all() or abs(portions.sum() - 1) > 1e-6:
        raise ConfigError(f"shares={tuple(shares)} arrived; expected two or more positive numbers whose sum is 1")
    check_seed(seed)
    cuts = np.cumsum(portions)[:-1]
    chosen: list[list[int]] = [[] for _ in portions]
    for number, picture in enumerate(pictures):
        name = picture.id if picture.group is None else picture.group
        digest = hashlib.sha256(f"{seed}|{name}".encode()).digest()
        chosen[int(np.searchsorted(cuts, int.from_bytes(digest[:8]) / 2**64, side="right"))].append(number)
    for rows, share in zip(chosen, portions, strict=True):
        if not rows:
            raise DataError(
                f"a share of {share:g} of {len(pictures)} {pictures.nouns}, split by hash, leaves a part empty",
                Place(pictures.source),
                ("give it a larger share", Remedy("by", "group" if pictures.groups else "random")),
            )
    return tuple(pictures.subset(rows) for rows in chosen)
