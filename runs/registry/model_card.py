"""What a reader of the registry must know about a model before using it, as Markdown.

The headings are those of Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, as far as
the pipeline knows what belongs below them. If the pipeline doesn't know a fact, such as the licence
of somebody's photos, the card says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reid.data.market import SAMPLE_NAME
from reid.data.protocols import ANY_CAMERA, protocol_of
from reid.evaluation.figures import (
    FIGURES,
    OPEN_SET_FPIR,
    REPORTED,
    at_fpir,
    value_and_interval,
)
from reid.evaluation.reranking_method import words_for_reranking
from runs.markdown import code, plain

NOT_FOR = """\
- Surveillance, or any search for people, without a legal ground and the knowledge of who answers \
for it.
- Identifying anybody. The model says how alike two photos look, mostly by the clothes, never who \
somebody is.
- Decisions about people without a person who looks at the photos and answers for the decision.
- Judging age, sex, origin, health, mood or intent."""

MODEL_DESCRIPTION = f"""\
Person re-identification: the model turns a photo of one person, cut out, into an embedding of \
length 1. The dot product of two embeddings says how alike the photos look, from -1 to 1.

Each version is one result of the pipeline, and its description is its model card. The alias \
`champion` moves only to a version whose rank-1 and mAP on the same queries and gallery are better \
by more than chance. If the data differ, the alias stays until a person moves it.

```
mlflow models serve -m models:/reid@champion --env-manager local --port 5001
```

**Not for**

{NOT_FOR}
"""


@dataclass(frozen=True)
class CardFacts:
    """The facts that a card states."""

    data_name: str
    data_md5: str
    is_market1501: bool
    """Whether the photos are those of Market-1501, by their people, cameras and number."""
    images: Mapping[str, int]
    """The number of images of train, query and gallery."""
    train_people: int
    cameras: int
    metrics: Mapping[str, Mapping[str, float]]
    """The metrics of ``baseline``, ``triplet`` and ``comparison``, as in ``metrics/``."""
    params: Mapping[str, Any]
    """The parameters, nested as in ``params.yaml``."""
    fingerprint: str
    commit: str
    """The commit's hash; empty if nothing was committed yet."""
    has_changes: bool
    """Whether a file that determines the result differed from the commit."""


def model_card(facts: CardFacts) -> str:
    """Return the card of one version: its use, figures, data, limits, licences and misuse.

    The card stays below 4,000 characters, because MLflow's databases hold 5,000 per description.
    """
    how = facts.params["model"]
    sections = {
        "Made for": _made_for(how),
        "Protocol": _protocol(facts),
        "Figures": _figures(facts),
        "Is the person here at all?": _open_set(facts),
        "Data": _data(facts),
        "Limits": _limits(facts),
        "Licences": f"- Data: {_data_licence(facts)}\n- Weights: "
        f"{_weights_licence(how['weights'])}",
        "Not for": NOT_FOR,
        "Made by": _made_by(facts),
    }
    return "\n".join(f"### {heading}\n\n{text}\n" for heading, text in sections.items())


def _made_for(how: Mapping[str, Any]) -> str:
    return (
        "Research, and proposing photos for a person to look at: which photos of a gallery look "
        "like the same person as this one? The input is a JPEG or PNG of one person, cut out, in "
        f"base64; it is scaled to {how['height']}x{how['width']} pixels. The output is an "
        "embedding of length 1. The dot product of two embeddings is their similarity, not a "
        "probability."
    )


def _protocol(facts: CardFacts) -> str:
    triplet = facts.metrics["triplet"]
    reranking = words_for_reranking(triplet["reranked"])
    scored = int(triplet["queries"] - triplet["queries_without_match"])
    people = int(facts.metrics["comparison"]["people"])
    without = int(triplet["queries_without_match"])
    left_out = f" ({without} more have no right answer)" if without else ""
    if protocol_of(triplet) == ANY_CAMERA:
        kind = "Single query, any camera (easier than Market-1501's protocol)"
        own_camera = "count as right answers"
    else:
        kind, own_camera = "Market-1501's single query", "are left out"
    return (
        f"{kind}{reranking or ', no re-ranking'}"
        f"{' (the embeddings alone give other figures)' if reranking else ''}: "
        f"{scored} queries of {people} people{left_out} against {triplet['gallery']:.0f} gallery "
        "images, "
        f"{triplet['distractors']:.0f} of them distractors, without {triplet['junk']:.0f} junk "
        f"images. Photos of the query's person by the query's own camera {own_camera}."
    )


def _figures(facts: CardFacts) -> str:
    triplet, baseline = facts.metrics["triplet"], facts.metrics["baseline"]
    rows = [
        f"| {FIGURES[figure]}&emsp; | {' | '.join(value_and_interval(triplet, figure))} "
        f"| {value_and_interval(baseline, figure)[0]} |"
        for figure in REPORTED
    ]
    return "\n".join(
        [
            # MLflow's page draws columns without a gap between them.
            "| per cent&emsp; | this model&emsp; | 95 % interval&emsp; | baseline |",
            "|---|---|---|---|",
            *rows,
            "",
            "The intervals show how much the figures vary with the people in the test set "
            "(bootstrap over people), not how much they vary with the training.",
        ]
    )


def _data(facts: CardFacts) -> str:
    images = facts.images
    return (
        f"{code(facts.data_name)}, md5 `{facts.data_md5}`: {images['train']} training images of "
        f"{facts.train_people} people, {images['query']} queries, {images['gallery']} gallery "
        f"images, {facts.cameras} cameras, gallery {code(facts.params['ingest']['gallery'])}."
    )


def _limits(facts: CardFacts) -> str:
    drawn = (
        "- All these people are drawn: the figures say nothing about photos of real ones.\n"
        if facts.data_name == SAMPLE_NAME
        else ""
    )
    return (
        f"{drawn}- Measured on these cameras alone. Other cameras, places, seasons and detectors "
        "give other figures, usually lower ones, and need other thresholds.\n"
        "- The model goes by clothes: it misses people who change them and confuses people who "
        "dress alike.\n"
        "- It was not measured whether the model is equally accurate for all groups of people."
    )


def _open_set(facts: CardFacts) -> str:
    """Say how well a threshold tells whether the gallery shows a person at all."""
    triplet = facts.metrics["triplet"]
    rows = [
        f"| {100 * fpir:g} %&emsp; | {triplet[at_fpir('threshold', fpir)]:.3f}&emsp; "
        f"| {100 * triplet[at_fpir('FPIR', fpir)]:.1f} %&emsp; "
        f"| {' %, '.join(value_and_interval(triplet, at_fpir('FNIR', fpir)))} |"
        for fpir in OPEN_SET_FPIR
        if at_fpir("threshold", fpir) in triplet
    ]
    if not rows:
        return (
            "No threshold is set, for want of queries: every query has a nearest photo, even if "
            "its person is not in the gallery."
        )
    return "\n".join(
        [
            "Somebody is always nearest. From the threshold on, that is taken for the person:",
            "",
            "| strangers accepted&emsp; | threshold&emsp; | accepted, measured&emsp; "
            "| people missed, 95 % interval |",
            "|---|---|---|---|",
            *rows,
            "",
            f"Set on the {triplet['queries']:.0f} queries, each without its person's photos in the "
            "gallery. Measured on the queries of other people than it was set on, in turn. A "
            "threshold holds for a gallery of about this size.",
        ]
    )


def _data_licence(facts: CardFacts) -> str:
    if facts.data_name == SAMPLE_NAME:
        return "drawn by this project, no real person in it."
    if facts.is_market1501:
        return "Market-1501, for research; its authors' terms also hold for what is made from it."
    return (
        "not known to the pipeline. Ask the provider of the photos whether a model made from them "
        "may be used and passed on."
    )


def _weights_licence(weights: str) -> str:
    if weights == "none":
        return "trained from random weights."
    if weights.startswith("mobilenet_v2_imagenet_notop"):
        return (
            "started from torchvision's MobileNetV2, BSD-3-Clause, trained on ImageNet, whose "
            "photos are for non-commercial research."
        )
    if weights == "imagenet":
        return (
            "started from Keras's ImageNet download; its terms are not known to the pipeline, and "
            "ImageNet's photos are for non-commercial research."
        )
    return f"started from {code(weights)}, whose terms the pipeline doesn't know."


def _made_by(facts: CardFacts) -> str:
    how = facts.params["model"]
    commit = f", commit `{facts.commit[:10]}`" if facts.commit else ""
    if facts.commit and facts.has_changes:
        commit += " with uncommitted changes, which the run holds in `pipeline`"
    return (
        f"{plain(how['backbone'])}, alpha {how['alpha']}, softmax and triplet loss, lr "
        f"{facts.params['lr']}, seed {facts.params['seed']}. Fingerprint "
        f"`{facts.fingerprint[:10]}`{commit}; the run has all parameters."
    )
