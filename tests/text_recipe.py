"""A recipe of text in a file of a user's: a small model of characters, hardly trained, and answers that are made."""

TEXT_RECIPE = '''
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import rnnkit
from rnnkit import runs
from rnnkit.data import read_texts, train_tokenizer
from rnnkit.data.text.troubles import few_examples, repeated_outputs
from rnnkit.recipes import InspectionData, Recipe, TextAnswer, TextModel
from rnnkit.recipes.text_page import Sample, write_text_page

CORPUS = ["the cat sat on the mat.\\\\nthe dog sat on the log.\\\\n", "床前明月光，疑是地上霜。"]


@dataclass(frozen=True)
class Toy(Recipe):
    """A model of characters.

    Attributes:
        seed: of the weights.
        device: where it computes.
    """

    reads_text: ClassVar[bool] = True
    seed: int = 0
    device: str = "cpu"

    def run(self, folder):
        import torch

        torch.manual_seed(self.seed)
        tokenizer = train_tokenizer("char", CORPUS)
        model = rnnkit.SequenceTagger(
            rnnkit.GRU(8, 16, batch_first=True), outputs=len(tokenizer), front=torch.nn.Embedding(len(tokenizer), 8)
        )
        learner = rnnkit.Learner(model, lr=0.01, device=self.device)
        learner.extra["tokenizer"] = tokenizer.to_dict()
        ids = self.rows(tokenizer)
        history = learner.fit((ids[:, :-1], ids[:, 1:]), epochs=1, seed=self.seed, progress=False)
        learner.save(folder)
        troubles = few_examples({"poem": 1, "line": 20}) + repeated_outputs(["so so so", "a dog"])
        write_text_page(folder, title="A toy", history=history, troubles=troubles, samples=[Sample("", "", "猫 so so")])
        figures = {"loss": 1.5, "bits_per_character": 2.0 + self.seed}
        return runs.record(folder, history, {"test": figures, "troubles": troubles})

    def rows(self, tokenizer):
        import torch

        ids = torch.tensor(tokenizer.encode(CORPUS[0]))
        return ids.unfold(0, 12, 4)

    def language_model(self, folder):
        return TextModel(rnnkit.load(folder), train_tokenizer("char", CORPUS))

    def inspection_data(self, folder, data=None):
        ids = self.rows(train_tokenizer("char", CORPUS))
        return InspectionData(rnnkit.load(folder), ids[:, :-1], ids[:, 1:], None)

    def predict(self, folder, data):
        texts = [text for text, _ in read_texts(data.path, unit="line", encoding=data.encoding)]
        return {"text": texts, "prediction": [len(text) for text in texts]}

    def evaluate(self, folder, data=None):
        return {"texts": 0.0 if data is None else float(len(self.predict(folder, data)["text"]))}

    def translator(self, folder):
        def answer(texts, *, width=None, max_tokens=None, length_penalty=None, coverage_penalty=None):
            import torch

            (Path(folder) / "calls.txt").open("a").write(f"{len(texts)} {width} {max_tokens} {length_penalty}\\\\n")
            assert all(text.strip() for text in texts)
            return [
                TextAnswer(text.upper(), -0.5, list(text), list(text.upper()), torch.eye(len(text))) for text in texts
            ]

        return answer

    def summarizer(self, folder):
        def answer(texts, *, width=None, max_tokens=None, length_penalty=None, coverage_penalty=None):
            return [TextAnswer(text.split(".")[0] + "\\\\n.", -0.5, [], []) for text in texts]

        return answer


def recipe():
    return Toy()
'''.replace("\\\\", "\\")
