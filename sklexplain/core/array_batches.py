"""Masked batches of numpy rows, for models that are called with arrays or tables."""

from __future__ import annotations

import numpy as np

from .masked_batches import Job, Namer, masked_batches, run_batch


def run_on_arrays(
    job: Job, X: np.ndarray, coalitions: np.ndarray, pairing: np.ndarray | None, name: Namer
) -> np.ndarray:
    """Build the batches in memory and call the model with them.

    Parameters
    ----------
    job, X, coalitions, pairing, name
        As of :func:`sklexplain.core.device_batches.run_on_device`.

    Returns
    -------
    ndarray of shape (n_rows, n_masks, n_outputs), float64
    """
    outputs: np.ndarray | None = None
    dtype = np.result_type(X, job.references)
    bits = np.dtype(f"i{dtype.itemsize}")
    rows, references = (
        np.ascontiguousarray(array, dtype=dtype).reshape(len(array), -1).view(bits)
        for array in (X, job.references)
    )
    labels = job.cell_labels()
    for tile, batch in masked_batches(
        job,
        rows,
        coalitions,
        references,
        pairing,
        lambda masks: (masks if labels is None else masks[:, labels]).astype(bits),
    ):
        n_rows, n_masks, n_references = tile.shape()
        masked = batch.view(dtype).reshape(-1, *X.shape[1:])
        flat = run_batch(job.model, masked, tile, name)
        if outputs is None:
            outputs = np.zeros((len(X), len(coalitions), flat.shape[1]))
        block = flat.reshape(n_rows, n_masks, n_references, -1)
        if pairing is None:
            outputs[tile.rows, tile.masks] += np.einsum(
                "nmro,r->nmo", block, job.weights[tile.references]
            )
        else:
            outputs[tile.rows, tile.masks] = block[:, :, 0]
    return np.zeros((len(X), len(coalitions), 1)) if outputs is None else outputs
