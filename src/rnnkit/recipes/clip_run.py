"""What recipes of clips have in common: a folder of frames is a clip, another folder stands for the clips in it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rnnkit.recipes.file_run import FileRecipe


class ClipRecipe(FileRecipe):
    """Base of the recipes that learn from clips."""

    noun: ClassVar[str] = "clip"

    def files_in(self, folder: Path) -> list[Path] | None:
        """Return the clips in a folder; None where it is a clip itself, or holds none."""
        from rnnkit.data.video.clip_reading import clips_in

        clips = clips_in(folder)
        return clips if clips and clips != [folder] else None
