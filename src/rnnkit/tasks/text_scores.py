"""Scores of texts against references: BLEU and chrF of translations, ROUGE of summaries, with their signatures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import DataError, MissingExtraError

_SPACELESS = ("zh", "ja")


class Scores(NamedTuple):
    """Figures by their names, and what each was computed by.

    Attributes:
        figures: of 0 to 100, the higher the better.
        signatures: settings and version of the library, by the same names.
        each: the quality of each text: chrF of a translation, ROUGE-L of a summary.
    """

    figures: dict[str, float]
    signatures: dict[str, str]
    each: list[float]


def translation_scores(
    answers: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    language: str = "",
    lowercase: bool = False,
) -> Scores:
    """Return BLEU (Papineni et al. 2002) and chrF (Popović 2015) of a corpus, as SacreBLEU computes them (Post 2018).

    Args:
        answers: the translations.
        references: one or several right translations of each.
        language: of the translations: "zh" is cut into characters by SacreBLEU's tokenizer "zh", "ja" into single
            characters by "char"; all else by "13a".
        lowercase: whether both sides are compared in small letters.

    Raises:
        DataError: no answers, or not as many references. MissingExtraError: sacrebleu is not installed.

    Example:
        >>> scores = translation_scores(["the cat sat on the mat"], [["the cat sat on the mat"]])
        >>> round(scores.figures["bleu"]), scores.signatures["bleu"].split("|")[3]
        (100, 'tok:13a')
    """
    _check(answers, references)
    try:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
    except ImportError as error:
        raise MissingExtraError("BLEU and chrF need sacrebleu", None, "type pip install 'rnnkit[text]'") from error
    # SacreBLEU wants a list for each number of a reference, with None where a text has fewer.
    most = max(map(len, references))
    columns: Any = [[texts[at] if at < len(texts) else None for texts in references] for at in range(most)]
    bleu = BLEU(lowercase=lowercase, tokenize={"zh": "zh", "ja": "char"}.get(language, "13a"))
    chrf = CHRF(lowercase=lowercase)
    figures, signatures = {}, {}
    for name, metric in (("bleu", bleu), ("chrf", chrf)):
        figures[name] = float(metric.corpus_score(list(answers), columns).score)
        signatures[name] = str(metric.get_signature())
    each = [float(chrf.sentence_score(one, list(texts)).score) for one, texts in zip(answers, references, strict=True)]
    return Scores(figures, signatures, each)


def summary_scores(answers: Sequence[str], references: Sequence[Sequence[str]], *, language: str = "") -> Scores:
    """Return ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004), F₁ in percent, the mean over the texts.

    Of several references each figure takes the one that gives the highest, as SciTLDR is scored (Cachola et al. 2020).

    Args:
        answers: the summaries.
        references: one or several summaries of each text.
        language: "zh" and "ja" are cut into characters, and their words in other scripts into words; all else is cut
            and stemmed by rouge-score.

    Raises:
        DataError: no answers, or not as many references. MissingExtraError: rouge-score is not installed.

    Example:
        >>> scores = summary_scores(["a dog barks"], [["a cat", "the dog barks"]])
        >>> {name: round(value, 1) for name, value in scores.figures.items()}
        {'rouge1': 66.7, 'rouge2': 50.0, 'rougeL': 66.7}
    """
    _check(answers, references)
    try:
        from importlib.metadata import version

        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise MissingExtraError("ROUGE needs rouge-score", None, "type pip install 'rnnkit[text]'") from error
    own = _Characters() if language in _SPACELESS else None
    names = ("rouge1", "rouge2", "rougeL")
    scorer = RougeScorer(names, use_stemmer=own is None, tokenizer=own)
    found = [scorer.score_multi(list(texts), answer) for answer, texts in zip(answers, references, strict=True)]
    figures = {name: 100 * sum(one[name].fmeasure for one in found) / len(found) for name in names}
    cut = "characters" if own is not None else "words, stemmed"
    signature = f"F1|refs:best|tok:{cut}|rouge-score:{version('rouge-score')}"
    return Scores(figures, dict.fromkeys(names, signature), [100 * one["rougeL"].fmeasure for one in found])


def guess_language(texts: Sequence[str]) -> str:
    """Return "zh" or "ja" where most letters of texts are written so; else "".

    Example:
        >>> guess_language(["你好，世界。"]), guess_language(["これは本です"]), guess_language(["Hello 世"])
        ('zh', 'ja', '')
    """
    letters = [one for text in texts[:1000] for one in text if one.isalpha()]
    kana = sum("\u3040" <= one <= "\u30ff" for one in letters)
    han = sum("\u3400" <= one <= "\u9fff" for one in letters)
    if 2 * (kana + han) <= len(letters):
        return ""
    return "ja" if 10 * kana > kana + han else "zh"


class _Characters:
    """A tokenizer as rouge-score takes it: words, and each character of scripts without spaces."""

    def tokenize(self, text: str) -> list[str]:
        from ..data.text.words import split_words

        return [one for one in split_words(text.lower()) if any(map(str.isalnum, one))]


def _check(answers: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if not answers:
        raise DataError("no texts arrived to be scored; expected at least one")
    if len(answers) != len(references):
        raise DataError(f"{len(answers)} texts arrived with references for {len(references)}; expected as many")
    for number, texts in enumerate(references):
        if isinstance(texts, str) or not texts:
            raise DataError(f"text {number} has the references {texts!r}; expected a list of at least one")
