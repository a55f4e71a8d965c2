"""The pictures of a run: where they lie, and how they are divided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from rnnkit.data.sentences import UNREADABLE, sentence
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.divided_data import check_shares
from rnnkit.recipes.wording import DataSettings, findings_in_words, in_data_settings
from rnnkit.tasks.ranges import NotNegative, Seed, Settings

if TYPE_CHECKING:
    from rnnkit.data.images import PictureSet
    from rnnkit.data.images.picture_files import Mode

_KEPT = 2048  # megabytes of decoded pixels
_GROUPS = 5  # so many have to be there to be kept together unless asked for


@dataclass(frozen=True)
class PictureData(Settings):
    """Pictures, and how they are divided.

    Attributes:
        path: a folder, table or archive of pictures with their annotations; see ``rnnkit.data.images.read_pictures``. A
            name that is not here is looked for in the folder RNNKIT_DATA.
        test: the test data, as `path`; none takes the test part of the set, or holds `test_share` back.
        test_share: share of the pictures held back for the test.
        validation: share of the pictures to choose the epoch by.
        by: whether the pictures of a group, such as a patient, a page or a video, are in one part alone (group),
            pictures are drawn at random, or follow from their names alone (hash), so that later ones move no others;
            auto takes group where each picture has one and there are five or more.
        split_seed: of the division; it does not follow `seed`, so that seeds are judged on the same pictures.
        layout: how the pictures and their annotations lie; auto looks.
        group: a regular expression whose first group, found in a picture's id, is the patient, page or video that it
            comes from.
        path_column: of a table, the column of the files, where its name does not say it; the next ones are alike.
        group_column: the patient, page or video.
        part_column: train, validation or test.
    """

    group_name: ClassVar[str] = "data"
    columns: ClassVar[tuple[str, ...]] = ("path_column", "group_column", "part_column")
    arguments: ClassVar[tuple[str, ...]] = ("layout", "group")  # of the reader, besides columns
    nouns: ClassVar[str] = "pictures"

    path: str | None = None
    test: str | None = None
    test_share: NotNegative = 0.1
    validation: NotNegative = 0.1
    by: Literal["auto", "group", "random", "hash"] = "auto"
    split_seed: Seed = 0
    layout: Literal["auto", "labels", "masks", "coco", "voc", "yolo", "texts", "table"] = "auto"
    group: str | None = None
    path_column: str | None = None
    group_column: str | None = None
    part_column: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares(self.test_share, self.validation)

    def read(self, path: str | Path, *, new: bool = False) -> PictureSet:
        """Return the pictures of a path.

        Args:
            path: it.
            new: whether the run is trained already.
        """
        read = self.reader()
        names = (*self.arguments, *self.columns)
        with in_data_settings(names, new=new):
            if new:  # another source may lie another way, and have other columns
                found = read(path, **{name: getattr(self, name) for name in self.columns if _is_table(path)})
            else:
                columns = {name: getattr(self, name) for name in self.columns}
                found = read(path, layout=self.layout, group=self.group, **columns)
        words = None if new else DataSettings({name: name for name in names})  # a trained run has its settings
        return replace(found, findings=tuple(findings_in_words(found.findings, words)))

    def reader(self) -> Callable[..., PictureSet]:
        """Return the function that finds what lies at a path."""
        from rnnkit.data.images import read_pictures

        return read_pictures


TAUGHT = "`rnnkit finetune` teaches it more"  # where a trained network lacks a class
UNTAUGHT = "Name test pictures of classes that the training pictures have, or add some of it there"


class PictureParts(NamedTuple):
    """The pictures of a run.

    Attributes:
        train, validation, test: the parts; None for one that there is not.
        findings: sentences about the files.
        division: a sentence about how the parts were made.
        digests: of each path as it was read.
    """

    train: PictureSet
    validation: PictureSet | None
    test: PictureSet | None
    findings: list[str]
    division: str
    digests: dict[str, str]

    def named(self) -> dict[str, PictureSet]:
        """Return the parts that there are, by their names."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}


def divide_pictures(
    data: PictureData, command: str, usable: Callable[[PictureSet], tuple[PictureSet, list[str]]]
) -> PictureParts:
    """Read and divide the pictures of a run.

    Parts that the data set itself names are kept. What is missing is drawn as `data.by` says.

    Args:
        data: the settings.
        command: the recipe's name, for the message where there is no path.
        usable: returns the pictures that the run can learn from, and sentences about the others.

    Raises:
        ConfigError: no path. DataError: a file cannot be read, or too few pictures.
    """
    if data.path is None:
        raise ConfigError(
            f"data.path is missing; name the {data.nouns} to learn from, as in `rnnkit train {command} FOLDER`"
        )
    pictures = data.read(data.path)
    findings, digests = list(pictures.findings), {str(data.path): pictures.fingerprint()}
    pictures, told_of_some = usable(pictures)
    findings += told_of_some
    parts: dict[str, PictureSet] = {}
    told = []
    if data.test is not None:
        test = data.read(data.test)
        findings += [one for one in test.findings if one not in findings]
        digests[str(data.test)] = test.fingerprint()
        parts["test"], told_of_some = usable(test)
        findings += told_of_some
        told.append(f"test: {data.test}")
    own = set(pictures.parts) & {"train", "validation", "test"}
    for part in ("test", "validation"):
        if part in own and part not in parts:
            parts[part] = pictures.part(part)
            told.append(f"{part}: {len(parts[part]):,} {data.nouns}, as the data set itself divides them")
    rest = pictures.subset(lambda one: one.part not in ("test", "validation")) if own else pictures
    if not len(rest):
        raise DataError(f"{pictures.source}: nothing is left to train on; expected some of the part train")
    wanted = {"test": data.test_share, "validation": data.validation}
    amounts = {part: share for part, share in wanted.items() if share and part not in parts}
    if amounts:
        by = _division(data, rest)
        split = _split(rest, amounts, by, data)
        how = {"group": "of groups that no other part has", "random": "at random", "hash": "by their names"}[by]
        told += [
            f"{part}: {len(split[part]):,} of {len(rest):,} {data.nouns} {how} (split_seed {data.split_seed})"
            for part in amounts
        ]
        rest = split.pop("train")
        parts |= split
    return PictureParts(rest, parts.get("validation"), parts.get("test"), findings, "; ".join(told), digests)


def readable(
    pictures: PictureSet, longest: int | None, mode: Mode = "RGB", *, part: str = ""
) -> tuple[PictureSet, list[str]]:
    """Return the pictures whose pixels can be read, which stay in memory, and a sentence about the others.

    Args:
        pictures: whose headers were read alone.
        longest: pixels of the longer side above which pictures are kept smaller; None: none are.
        mode: as `PictureSet.pixels` takes it.
        part: for the sentence.

    Raises:
        DataError: none can be read.
    """
    cached = pictures.cached(_KEPT, longest=longest)
    kept, damaged = [], []
    for number, one in enumerate(cached):
        try:
            cached.pixels(number, mode)
        except DataError:
            damaged.append(one.id)
        else:
            kept.append(number)
    if not damaged:
        return cached, []
    told = sentence(UNREADABLE, damaged, len(pictures), pictures.nouns)
    if not kept:
        raise DataError(f"{pictures.source}: no picture can be read. {told}")
    return cached.subset(kept), [f"{part}: {told}" if part else told]


def of_classes(pictures: PictureSet, classes: Sequence[str], part: str) -> tuple[PictureSet, list[str]]:
    """Return the pictures of a part whose class is one of the training part, and a sentence about the others.

    Args:
        pictures: each has a class.
        classes: of the training part.
        part: for the sentence.

    Raises:
        DataError: none is left.
    """
    strange = [one.id for one in pictures if one.label not in classes]
    if not strange:
        return pictures, []
    nouns = pictures.nouns
    phrase = (f"is of a class that none of the training {nouns} has", f"are of classes that no training {nouns} have")
    told = f"{part}: {sentence(phrase, strange, len(pictures), nouns)} Left out."
    if len(strange) == len(pictures):
        raise DataError(f"{pictures.source}: {told} Name a {part} part with classes of the training part")
    return pictures.subset(lambda one: one.label in classes), [told]


def check_known(folder: Path, classes: Sequence[str], known: Sequence[str], nouns: str) -> None:
    """Raise DataError where a network that was fine-tuned to other classes lacks some of its first training.

    Args:
        folder: of the run.
        classes: of the first training.
        known: of the network.
        nouns: what it was trained on, in the plural.
    """
    lost = [name for name in classes if name not in known]
    if lost:
        raise DataError(
            f"{folder} was fine-tuned to the classes {', '.join(known)}, and the {nouns} of the first training have "
            f"{lost[0]!r}; name {nouns} of the new classes: --data FOLDER"
        )


def _is_table(path: str | Path) -> bool:
    from rnnkit.data.images.picture_tables import TABLES

    return Path(path).suffix.lower() in TABLES


def _division(data: PictureData, pictures: PictureSet) -> Literal["group", "random", "hash"]:
    if data.by != "auto":
        return data.by
    known = all(one.group is not None for one in pictures)
    return "group" if known and len(pictures.groups) >= _GROUPS else "random"


def _split(
    pictures: PictureSet, amounts: dict[str, float], by: Literal["group", "random", "hash"], data: PictureData
) -> dict[str, PictureSet]:
    from rnnkit.data.images import split_pictures

    try:
        found = split_pictures(pictures, (1 - sum(amounts.values()), *amounts.values()), by=by, seed=data.split_seed)
    except DataError as error:
        problem = DataError(error.problem, error.place)  # its remedies are those of Python
        instead = "" if by == "random" else "--set data.by=random, or "
        if by == "group" and any(one.group is None for one in pictures):
            raise DataError(
                f"{problem}; find them in the names by --set data.group='(patient[0-9]+)', or type --set data.by=random"
            ) from None
        raise DataError(
            f"{problem}; add {data.nouns}, or {instead}--set data.validation=0 and --set data.test_share=0"
        ) from None
    return dict(zip(("train", *amounts), found, strict=True))
