"""Tasks in several processes, one after the other where there is one."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import joblib

BACKENDS = ("loky", "ray", "dask")


def run_tasks(
    tasks: Iterable[Any], jobs: int, backend: str = "loky", ordered: bool = False
) -> Iterator[Any]:
    """Results of tasks, as they are ready.

    Parameters
    ----------
    tasks : iterable
        Of `joblib.delayed` calls.
    jobs : int
        Processes.
    backend : str
        One of `BACKENDS`, whose package is imported only if it is asked for.
    ordered : bool
        Whether results come in the order of the tasks.
    """
    with _parallel(backend, jobs, ordered) as parallel:
        yield from parallel(tasks)


@contextmanager
def _parallel(backend: str, jobs: int, ordered: bool) -> Iterator[Any]:
    if backend == "ray":
        from ray.util.joblib import register_ray

        register_ray()
    elif backend == "dask":
        from dask.distributed import Client

        client = Client(n_workers=jobs, threads_per_worker=1, dashboard_address=None)
        with client, joblib.parallel_config("dask"):
            yield joblib.Parallel(n_jobs=jobs)
        return
    unordered = "generator" if ordered else "generator_unordered"
    with joblib.parallel_config(backend, n_jobs=jobs):
        yield joblib.Parallel(n_jobs=jobs, return_as=unordered if backend == "loky" else "list")
