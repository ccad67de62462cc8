"""Tasks in several processes, whose memory stays bounded and which nothing that is installed stops.

loky replaces a worker that has grown by 300 MB since its first task, if psutil is installed, and
says so by a warning in a thread of its own: as an error there it would end the thread, and whoever
waits for results would wait for ever. So calibrated animals, with tables of up to 20 MB each, are
dropped after each task, which keeps a worker within 200 MB of a fresh one, and the warning is
ignored.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import joblib

from ndbmi_gym import animals

BACKENDS = ("loky", "ray", "dask")


def run_tasks(
    function: Callable[..., Any],
    tasks: Iterable[tuple[Any, ...]],
    jobs: int,
    backend: str = "loky",
    ordered: bool = False,
) -> Iterator[Any]:
    """Results of a function for tasks, as they are ready.

    Parameters
    ----------
    function : callable
        Of a module, so that other processes find it.
    tasks : iterable of tuple
        Arguments.
    jobs : int
        Processes; one is this process.
    backend : str
        One of `BACKENDS`, whose package is imported only if it is asked for.
    ordered : bool
        Whether results come in the order of the tasks.
    """
    calls = (joblib.delayed(_call)(function, task) for task in tasks)
    with _parallel(backend, jobs, ordered) as parallel, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        yield from parallel(calls)


def _call(function: Callable[..., Any], task: tuple[Any, ...]) -> Any:
    try:
        return function(*task)
    finally:
        animals.forget()


@contextmanager
def _parallel(backend: str, jobs: int, ordered: bool) -> Iterator[Any]:
    """Joblib's Parallel on a backend."""
    if backend == "ray":
        from ray.util.joblib import register_ray

        register_ray()
    elif backend == "dask":
        from dask.distributed import Client

        client = Client(n_workers=jobs, threads_per_worker=1, dashboard_address=None)
        with client, joblib.parallel_config("dask"):
            yield joblib.Parallel(n_jobs=jobs)
        return
    streamed = "generator" if ordered else "generator_unordered"
    with joblib.parallel_config(backend, n_jobs=jobs):
        yield joblib.Parallel(n_jobs=jobs, return_as=streamed if backend == "loky" else "list")
