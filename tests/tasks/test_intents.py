import numpy as np
import pytest
import torch
from intent_texts import make
from tolerances import assert_close

import rnnkit
from rnnkit.data import LengthBatches, TaggedText
from rnnkit.data.text.tagged import Slot
from rnnkit.errors import ConfigError, DataError
from rnnkit.tasks.intent_rows import IntentRows, IntentVocabulary, names_of, padded
from rnnkit.tasks.intents import IntentSlotObjective, Understood, ValidationScores, scores, understand


def build(texts, seed=0, **settings):
    torch.manual_seed(seed)
    vocabulary = IntentVocabulary.of(texts)
    intents, tags = names_of(texts)
    front = rnnkit.WordFront(len(vocabulary.words), len(vocabulary.characters), 16, 8, 8, word_dropout=0.1)
    body = rnnkit.LSTM(24, 16, bidirectional=True)
    model = rnnkit.IntentSlotModel(body, intents, tags, front, intent_size=4, **settings)
    return model, vocabulary, IntentRows(texts, vocabulary, intents, tags)


def learner_of(model, **settings):
    return rnnkit.Learner(model, objective=IntentSlotObjective(**settings), metrics="accuracy", lr=0.02)


def test_it_learns_intents_and_slots():
    texts, others = make(100), make(30, seed=1)
    model, vocabulary, rows = build(texts)
    held = IntentRows(others, vocabulary, model.class_names, model.tags)
    learner = learner_of(model)
    history = learner.fit(
        LengthBatches(rows, 10),
        validation=LengthBatches(held, 20, shuffle=False),
        epochs=5,
        seed=0,
        callbacks=[ValidationScores(vocabulary, others)],
        progress=False,
    )
    found = understand(model, vocabulary, others)
    figures = scores(others, found)
    assert figures == dict.fromkeys(figures, 1.0)
    assert history["val_slot_f1"][-1] == history["val_accuracy"][-1] == 1.0
    answer = understand(model, vocabulary, [TaggedText("play Nina Simone now")])[0]
    assert (answer.intent, answer.slots) == ("music", (Slot("singer", 1, 3),))
    assert 0.5 < answer.confidence <= 1
    assert 0 < answer.slot_confidence <= 1


def test_the_loss_of_batches_is_that_of_the_whole():
    texts = make(7)
    model, _, rows = build(texts)
    learner = learner_of(model, intent_weight=2.0, slot_weight=0.5)
    model.eval()
    whole = rows[np.arange(7)]
    with torch.no_grad():
        output = model(whole.inputs, whole.input_lengths, tags=whole.targets[:, 1:])
        loss = torch.nn.functional.cross_entropy(output.intents, whole.targets[:, 0])
        expected = 2 * loss - 0.5 * output.log_likelihood.mean()
    for size in (3, 7):
        found = learner.evaluate(LengthBatches(rows, size, shuffle=False))
        assert_close(torch.tensor(found["loss"]), expected)


def test_padded_steps_count_nowhere():
    texts = make(5)
    model, _, rows = build(texts)
    objective = IntentSlotObjective()
    batch = rows[np.arange(5)]
    valid = torch.arange(batch.inputs.shape[1]) < batch.input_lengths[:, None]
    model.eval()
    before = objective(objective.call(model, batch), batch).loss
    batch.inputs[~valid] = 10**6
    batch.targets[:, 1:][~valid] = 10**6
    assert_close(objective(objective.call(model, batch), batch).loss, before)


def test_answers_come_in_the_order_of_the_texts():
    texts = make(9)
    model, vocabulary, _ = build(texts)
    together = understand(model, vocabulary, texts, batch_size=2)
    assert [one.intent for one in together] == [understand(model, vocabulary, [text])[0].intent for text in texts]


def test_a_text_without_a_word():
    model, vocabulary, _ = build(make(5))
    with pytest.raises(DataError, match="holds no word"):
        understand(model, vocabulary, [TaggedText("a"), TaggedText(" ")])
    assert understand(model, vocabulary, []) == []


def test_scores():
    city = (Slot("city", 2, 3),)
    texts = [TaggedText("rain in Oslo", "a", (Slot("city", 8, 12),)) for _ in range(4)]
    found = [Understood(intent, 1.0, slots, 1.0) for slots in (city, ()) for intent in "ab"]
    assert scores(texts, found) == pytest.approx(
        {
            "intent_accuracy": 0.5,
            "slot_f1": 2 / 3,
            "slot_precision": 1.0,
            "slot_recall": 0.5,
            "sentence_accuracy": 0.25,
        }
    )


def test_the_vocabulary_is_stored_as_json_values():
    vocabulary = IntentVocabulary.of(make(20))
    again = IntentVocabulary.from_dict(vocabulary.to_dict())
    words = ["Play", "unheard", "x" * 50]
    assert (again.encode(words) == vocabulary.encode(words)).all()
    assert again.encode(words)[1, 0] == 1
    with pytest.raises(DataError, match="without the vocabulary"):
        IntentVocabulary.from_dict({})


def test_names_that_the_model_lacks():
    texts = make(20)
    vocabulary, (intents, tags) = IntentVocabulary.of(texts), names_of(texts)
    with pytest.raises(DataError, match="the intent 'other' is not one of music, weather"):
        IntentRows([TaggedText("a", "other")], vocabulary, intents, tags)
    with pytest.raises(DataError, match="the slot 'album' is not one of"):
        IntentRows([TaggedText("a", "music", (Slot("album", 0, 1),))], vocabulary, intents, tags)
    with pytest.raises(DataError, match="no texts"):
        IntentRows([], vocabulary, intents, tags)


def test_what_the_objective_refuses():
    model, _, rows = build(make(6))
    with pytest.raises(ConfigError, match="slot_weight=-1"):
        IntentSlotObjective(slot_weight=-1)
    batch = rows[np.arange(6)]
    with pytest.raises(DataError, match="the intent first"):
        learner_of(model).evaluate([rnnkit.Batch(batch.inputs, batch.targets[:, 0], batch.input_lengths)])
    batch.targets[0, 0] = 7
    with pytest.raises(DataError, match="expected 0 to 1"):
        learner_of(model).evaluate([batch])


def test_a_batch_is_padded_with_zeros():
    batch = padded([np.ones((2, 3), np.int32), np.ones((1, 3), np.int32)])
    assert batch.inputs.tolist() == [[[1, 1, 1], [1, 1, 1]], [[1, 1, 1], [0, 0, 0]]]
    assert batch.input_lengths.tolist() == [2, 1]
