"""BLEU, chrF and ROUGE, by the libraries and with their signatures."""

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from rnnkit.errors import DataError
from rnnkit.tasks.text_scores import guess_language, summary_scores, translation_scores

ANSWERS = ["The cat sat on the mat today.", "A dog barks at night"]
REFERENCES = [["A cat sat on the mat.", "The cat was on the mat today."], ["A dog barked at night."]]


def test_bleu_and_chrf_are_those_of_sacrebleu_with_references_that_differ_in_number():
    found = translation_scores(ANSWERS, REFERENCES)
    columns = [["A cat sat on the mat.", "A dog barked at night."], ["The cat was on the mat today.", None]]
    assert found.figures["bleu"] == pytest.approx(sacrebleu.corpus_bleu(ANSWERS, columns).score)
    assert found.figures["chrf"] == pytest.approx(sacrebleu.corpus_chrf(ANSWERS, columns).score)
    assert "case:mixed" in found.signatures["bleu"]
    assert "tok:13a" in found.signatures["bleu"]
    assert found.signatures["chrf"].startswith("nrefs:")
    assert found.each[0] == pytest.approx(sacrebleu.sentence_chrf(ANSWERS[0], REFERENCES[0]).score)
    small = translation_scores([one.lower() for one in ANSWERS], REFERENCES, lowercase=True)
    assert small.figures["bleu"] > translation_scores([one.lower() for one in ANSWERS], REFERENCES).figures["bleu"]
    assert "case:lc" in small.signatures["bleu"]


def test_chinese_is_scored_by_characters():
    answers, references = ["我有三本很好的书。"], [["我有三本好书。"]]
    found = translation_scores(answers, references, language="zh")
    assert found.figures["bleu"] == pytest.approx(
        sacrebleu.corpus_bleu(answers, [["我有三本好书。"]], tokenize="zh").score
    )
    assert "tok:zh" in found.signatures["bleu"]
    assert "tok:char" in translation_scores(["本です"], [["本です"]], language="ja").signatures["bleu"]


def test_rouge_is_that_of_rouge_score_with_the_best_reference_for_each_figure():
    found = summary_scores(ANSWERS, REFERENCES)
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    for name, value in found.figures.items():
        best = [
            max(scorer.score(text, answer)[name].fmeasure for text in texts)
            for answer, texts in zip(ANSWERS, REFERENCES, strict=True)
        ]
        assert value == pytest.approx(100 * sum(best) / 2)
    assert found.signatures["rougeL"].startswith("F1|refs:best|tok:words, stemmed|rouge-score:")


def test_chinese_rouge_is_of_characters_and_marks_count_nothing():
    found = summary_scores(["我们提出GRU模型。"], [["我们用GRU 模型"]], language="zh")
    # 我 们 GRU 模 型 of 7 and of 6
    precision, recall = 5 / 7, 5 / 6
    assert found.figures["rouge1"] == pytest.approx(100 * 2 * precision * recall / (precision + recall))
    assert "tok:characters" in found.signatures["rouge1"]


def test_languages():
    assert guess_language(["今天天气很好", "Hello"]) == "zh"
    assert guess_language(["今日は天気がいいです"]) == "ja"
    assert guess_language(["Ein Hund.", ""]) == guess_language([]) == guess_language(["123"]) == ""


@pytest.mark.parametrize("score", [translation_scores, summary_scores])
def test_texts_without_references(score):
    with pytest.raises(DataError, match="no texts arrived"):
        score([], [])
    with pytest.raises(DataError, match="1 texts arrived with references for 2"):
        score(["a"], [["a"], ["b"]])
    with pytest.raises(DataError, match="text 0 has the references 'a'"):
        score(["a"], ["a"])
    with pytest.raises(DataError, match="text 0 has the references \\[\\]"):
        score(["a"], [[]])
