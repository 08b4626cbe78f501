"""Pictures for a report: one example episode of a task, with what learners said about its queries."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

SIDE = 144
SHOWN = 8


@dataclass(frozen=True)
class ExampleEpisode:
    """One episode to look at.

    Args:
        task: its name.
        classes: names of the classes, in the order of the columns of `probabilities`.
        support_images: grey or RGB.
        support_labels: class of each support image.
        query_images: grey or RGB.
        query_labels: class of each query image.
        probabilities: by learner, one row per query.
    """

    task: str
    classes: tuple[str, ...]
    support_images: UInt8[np.ndarray, "support height width"] | UInt8[np.ndarray, "support height width 3"]
    support_labels: Int[np.ndarray, " support"]
    query_images: UInt8[np.ndarray, "queries height width"] | UInt8[np.ndarray, "queries height width 3"]
    query_labels: Int[np.ndarray, " queries"]
    probabilities: dict[str, Float[np.ndarray, "queries ways"]]


@dataclass(frozen=True)
class Opinion:
    """What one learner said about one query: the class it predicts, how surely, and whether rightly."""

    learner: str
    predicted: str
    probability: float
    right: bool


@dataclass(frozen=True)
class QueryCard:
    """One query as the report shows it; `bars` has each class with its probability by the first learner."""

    picture: str
    truth: str
    bars: list[tuple[str, float]]
    opinion: Opinion
    others: list[Opinion]


@dataclass(frozen=True)
class Gallery:
    """An example episode ready to show: supports by class, queries that one learner got right and wrong."""

    learner: str
    support: list[tuple[str, list[str]]]
    right: list[QueryCard]
    wrong: list[QueryCard]


def gallery(example: ExampleEpisode, baseline: str) -> Gallery:
    """The example as seen by the first learner that is not the baseline, its most confident answers first."""
    names = sorted(example.probabilities, key=lambda name: name == baseline)
    cards = [_query_card(example, names, index) for index in range(len(example.query_labels))]
    cards.sort(key=lambda card: -card.opinion.probability)
    support = [
        (name, [picture(image) for image in example.support_images[example.support_labels == index][:SHOWN]])
        for index, name in enumerate(example.classes)
    ]
    return Gallery(
        learner=names[0],
        support=support,
        right=[card for card in cards if card.opinion.right],
        wrong=[card for card in cards if not card.opinion.right],
    )


def picture(image: UInt8[np.ndarray, "height width"] | UInt8[np.ndarray, "height width 3"]) -> str:
    """The image as the data URI of a PNG, no side longer than the report shows."""
    shown = Image.fromarray(image)
    shown.thumbnail((SIDE, SIDE))
    content = io.BytesIO()
    shown.save(content, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def _query_card(example: ExampleEpisode, names: list[str], index: int) -> QueryCard:
    opinions = [_opinion(example, name, index) for name in names]
    probabilities = example.probabilities[names[0]][index]
    return QueryCard(
        picture=picture(example.query_images[index]),
        truth=example.classes[example.query_labels[index]],
        bars=[(name, float(value)) for name, value in zip(example.classes, probabilities, strict=True)],
        opinion=opinions[0],
        others=opinions[1:],
    )


def _opinion(example: ExampleEpisode, learner: str, index: int) -> Opinion:
    probabilities = example.probabilities[learner][index]
    predicted = int(probabilities.argmax())
    return Opinion(
        learner=learner,
        predicted=example.classes[predicted],
        probability=float(probabilities[predicted]),
        right=predicted == int(example.query_labels[index]),
    )
