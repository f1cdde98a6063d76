"""Judge a model after an epoch, on images that it was not trained with."""

import numpy as np
import pandas as pd

from reid.common.arrays import has_unit_length
from reid.model.backend import keras
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import portable_dot_products, rank_queries, summarise
from reid.training.compiling import targets
from reid.training.folds import Fold
from reid.training.history import Row, renamed


def validate(model: keras.Model, embedding: keras.Model, fold: Fold, batch_size: int) -> Row:
    """Judge a network on the validation fold.

    Args:
        model: the network with its losses, as ``compiled`` makes it.
        embedding: the part of the network that gives embeddings, as ``embedder`` makes it.
        fold: held-out images of the training people, or of other people.
        batch_size: images to compute at once.

    Returns:
        For a fold of the training people: ``val_loss``, its parts and ``val_accuracy``. For a fold
        of other people: ``val_rank1`` and ``val_mAP``.
    """
    if fold.is_labelled:
        logs = model.evaluate(
            fold.images,
            targets(model, fold),
            batch_size=batch_size,
            verbose=0,
            return_dict=True,
        )
        return {f"val_{name}": value for name, value in renamed(logs).items()}
    return validate_retrieval(embedding, fold, batch_size)


def validate_retrieval(embedding: keras.Model, fold: Fold, batch_size: int) -> Row:
    """Return rank-1 and mAP among held-out people.

    The first image of each person and camera is a query, and all other images are the gallery.
    Queries without a match are left out, as in the evaluation; the stage ``split`` says how many
    these are. Mirrored images are not embedded, because that would take twice the time. Both
    numbers are NaN if an embedding is zero or NaN, as after a training that diverged.
    """
    embeddings = embedding.predict(fold.images, batch_size=batch_size, verbose=0)
    if not has_unit_length(embeddings).all():
        return {"val_rank1": np.nan, "val_mAP": np.nan}
    key = pd.DataFrame({"pid": fold.pids, "camid": fold.camids})
    is_query = ~key.duplicated().to_numpy()
    query, gallery = (
        FeatureSet(embeddings[part], fold.pids[part], fold.camids[part])
        for part in (is_query, ~is_query)
    )
    ranking = rank_queries(
        query, gallery, similarities=portable_dot_products, protocol=fold.protocol
    )
    metrics = summarise(ranking, gallery.pids)
    return {"val_rank1": metrics.rank1, "val_mAP": metrics.mAP}
