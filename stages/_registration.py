"""What ``track`` registers once the run is complete."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reid.checks.official import holds_market1501
from reid.data import paths
from reid.data.dataset import read_index, read_source
from reid.data.protocols import words_for
from reid.evaluation.figures import FIGURES, OPEN_SET
from reid.evaluation.reranking_method import words_for_reranking
from runs.one_run_per_result import RunIdentity
from runs.registry.champion import protocol_digest
from runs.registry.model_card import CardFacts, model_card
from runs.registry.versions import MODEL, Registry, Submission
from runs.store_error import complaint
from runs.tracking import PipelineResult, Tracker

logger = logging.getLogger(__name__)


def register(tracker: Tracker, identity: RunIdentity, result: PipelineResult) -> None:
    """Register the triplet model of a result, once; if the registry fails, warn and continue."""
    registry = Registry(tracker, identity.root, identity.fingerprint)
    try:
        if not registry.is_settled():
            registry.settle(_submission(identity, tracker.origin(), result))
    # Each kind of store and of artifacts raises errors of its own.
    except Exception as e:
        logger.warning(
            "The model of run %s can't be registered (%s). The next `dvc repro` tries again.",
            tracker.id,
            complaint(e),
        )


def _submission(
    identity: RunIdentity, origin: Mapping[str, str], result: PipelineResult
) -> Submission:
    # A `dvc repro` with nothing to register doesn't wait for these imports.
    from reid.serving.packaging import Package, pinned_requirements  # noqa: PLC0415

    index = read_index(paths.DATASET)
    query, gallery = (index[index["subset"] == subset] for subset in ("query", "gallery"))
    reranking = result.params["evaluate"]["reranking"]
    protocol = result.params["evaluate"]["protocol"]
    source = read_source(paths.DATASET)
    facts = CardFacts(
        data_name=result.data_name,
        data_md5=result.data_md5,
        is_market1501=holds_market1501(index, source["gallery"]),
        images=source["images"],
        train_people=int(result.data["pid"].nunique()),
        cameras=int(index["camid"].nunique()),
        metrics=result.metrics,
        params=result.params,
        fingerprint=identity.fingerprint,
        # As the run says: it may have been made long before its model is registered.
        commit=origin.get("git_commit", ""),
        has_changes=origin.get("git_dirty") == "true",
    )
    features = np.load(paths.embeddings_file(paths.features_folder(MODEL), "query"), mmap_mode="r")
    package = Package(
        network=paths.exported_folder(MODEL),
        keras=result.artifacts[str(paths.model_folder(MODEL))],
        ranking=paths.ranking_file(MODEL),
        metrics=result.metrics[MODEL],
        dimension=features.shape[1],
        requirements=pinned_requirements(Path(), result.params["extract"]["engine"]),
        card=model_card(facts),
    )
    figures = {
        name: value
        for name, value in result.metrics[MODEL].items()
        if name.removesuffix("_low").removesuffix("_high") in (*FIGURES, *OPEN_SET)
    }
    return Submission(
        result_digest=result.digest,
        package=package,
        protocol=protocol_digest(query, gallery, reranking, protocol),
        data=f"{len(query)} queries and {len(gallery)} gallery images of {result.data_name}, "
        f"md5 {result.data_md5[:7]}{words_for_reranking(result.metrics[MODEL]['reranked'])}"
        f"{words_for(protocol)}",
        data_name=result.data_name,
        data_md5=result.data_md5,
        figures=figures,
        params=result.params,
    )
