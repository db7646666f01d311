"""Explain windows on a dask cluster: two worker processes here, any number of machines elsewhere.

Run as ``python examples/explain_on_a_cluster.py``, after ``pip install 'sklexplain[distributed]'``.
For a real cluster give its scheduler's address: ``--address tcp://host:8786``.
"""

import argparse
import tempfile

import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster
from joblib import parallel_config

from sklexplain import Explanation, FeedForwardRegressor, KernelSHAP, make_sequences


def explain(client, n_rows):
    """Explain the same rows in three ways, and return how far the values lie apart."""
    data = make_sequences(n_samples=n_rows, random_state=0)
    X, y = data.X, data.y
    model = FeedForwardRegressor(max_epochs=5, random_state=0)
    explainer = KernelSHAP(model, background=20, max_evals=300, random_state=0).fit(X, y)
    here = explainer.explain(X)

    # Rows in memory: their coalitions are divided among the cluster's workers.
    with parallel_config(backend="dask"):
        divided = explainer.explain(X)

    # Rows that no machine holds as a whole: every worker explains the blocks that it has.
    blocks = da.from_array(X, chunks=(max(1, n_rows // 4), *X.shape[1:]))
    lazy = explainer.explain(blocks)
    with tempfile.TemporaryDirectory() as folder:
        paths = lazy.save_parts(folder)
        joined = Explanation.concat(map(Explanation.load, paths))

    n_workers = len(client.scheduler_info()["workers"])
    print(f"{len(joined)} rows in {len(paths)} files, explained by {n_workers} workers")
    for name, importance in zip(joined.players.names, joined.importances(), strict=True):
        print(f"{name}: {importance:.3f}")
    scale = np.abs(here.values).max()
    return max(np.abs(other.values - here.values).max() / scale for other in (divided, joined))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", help="of a scheduler; two local workers by default")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--dashboard", default=":0", help="address of the local dashboard")
    options = parser.parse_args()
    cluster = options.address
    if cluster is None:
        cluster = LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=options.dashboard
        )
    with Client(cluster) as client:
        print("dashboard:", client.dashboard_link, "(its pages need bokeh)")
        print(f"largest difference: {explain(client, options.rows):.1e} of the largest value")
    if options.address is None:
        cluster.close()


if __name__ == "__main__":
    main()
