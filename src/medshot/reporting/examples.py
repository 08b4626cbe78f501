"""The images of a report: one example episode of a task, with the predictions of learners for its queries."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

SIDE = 144  # largest side of a thumbnail in pixels
MAX_IMAGES = 8  # images per class of a support, and queries per list


@dataclass(frozen=True)
class ExampleEpisode:
    """One episode to show in a report.

    Args:
        task: name of the task.
        classes: names of the classes, in the order of the columns of `probabilities`.
        support_images: support images, grey or RGB.
        support_labels: class of each support image.
        query_images: query images, grey or RGB.
        query_labels: class of each query image.
        probabilities: for each learner, one row per query.
    """

    task: str
    classes: tuple[str, ...]
    support_images: UInt8[np.ndarray, "support height width"] | UInt8[np.ndarray, "support height width 3"]
    support_labels: Int[np.ndarray, " support"]
    query_images: UInt8[np.ndarray, "queries height width"] | UInt8[np.ndarray, "queries height width 3"]
    query_labels: Int[np.ndarray, " queries"]
    probabilities: dict[str, Float[np.ndarray, "queries ways"]]


@dataclass(frozen=True)
class QueryPrediction:
    """The prediction of one learner for one query: the class, its probability, and whether it is correct."""

    learner: str
    predicted: str
    probability: float
    correct: bool


@dataclass(frozen=True)
class QueryCard:
    """One query in the report; `bars` holds the first learner's probability of each class."""

    picture: str
    truth: str
    bars: list[tuple[str, float]]
    prediction: QueryPrediction
    others: list[QueryPrediction]


@dataclass(frozen=True)
class Gallery:
    """An example episode for the report: supports by class, and the correct and wrong predictions of one learner."""

    learner: str
    support: list[tuple[str, list[str]]]
    correct: list[QueryCard]
    wrong: list[QueryCard]


def gallery(example: ExampleEpisode, baseline: str) -> Gallery:
    """Return the example for the first learner that is not the baseline, most confident predictions first."""
    names = sorted(example.probabilities, key=lambda name: name == baseline)
    cards = [_query_card(example, names, index) for index in range(len(example.query_labels))]
    cards.sort(key=lambda card: -card.prediction.probability)
    support = [
        (name, [thumbnail(image) for image in example.support_images[example.support_labels == index][:MAX_IMAGES]])
        for index, name in enumerate(example.classes)
    ]
    return Gallery(
        learner=names[0],
        support=support,
        correct=[card for card in cards if card.prediction.correct],
        wrong=[card for card in cards if not card.prediction.correct],
    )


def thumbnail(image: UInt8[np.ndarray, "height width"] | UInt8[np.ndarray, "height width 3"]) -> str:
    """Return a thumbnail of the image as the data URI of a PNG."""
    small = Image.fromarray(image)
    small.thumbnail((SIDE, SIDE))
    content = io.BytesIO()
    small.save(content, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def _query_card(example: ExampleEpisode, names: list[str], index: int) -> QueryCard:
    predictions = [_prediction(example, name, index) for name in names]
    probabilities = example.probabilities[names[0]][index]
    return QueryCard(
        picture=thumbnail(example.query_images[index]),
        truth=example.classes[example.query_labels[index]],
        bars=[(name, float(value)) for name, value in zip(example.classes, probabilities, strict=True)],
        prediction=predictions[0],
        others=predictions[1:],
    )


def _prediction(example: ExampleEpisode, learner: str, index: int) -> QueryPrediction:
    probabilities = example.probabilities[learner][index]
    predicted = int(probabilities.argmax())
    return QueryPrediction(
        learner=learner,
        predicted=example.classes[predicted],
        probability=float(probabilities[predicted]),
        correct=predicted == int(example.query_labels[index]),
    )
