"""A cohort on the workers of a Dask cluster: a few cases in flight for each, and those of a lost worker done by others."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..errors import InputError, UltraLightError, brief
from ..events import Progress, finish
from .cases import Case, case_from
from .place import Place
from .recipe import Recipe, recipe_from
from .records import CaseRecord, record_from
from .runners import failed, label_one
from .warm_process import WarmProcess

LOCAL = "local"

_IN_FLIGHT = 2
"""Cases for each worker: one that it works on, one that waits for it."""

_PATIENCE = 60.0
"""Seconds in which a scheduler has to answer, and to have a worker."""

_MEMORY = 1.5e9
"""Bytes that a local worker should have, with its process and a whole head."""


class DaskCluster:
    """Labels cases on the workers of a `dask.distributed` scheduler, each with one warm model in a process of its own.

    The workers must see the same folders under the same names, and have this version of UltraLight.

    Args:
        address: of the scheduler, e.g. `tcp://10.0.0.1:8786`, or "local" for workers on this machine.
        workers: how many there are to be, if they are local; None: as many as cores and memory allow.

    Raises:
        InputError: if there is no such scheduler, no worker, or they are of another version; or `distributed` is not installed.

    Example:
        >>> import ultralightunet as ulu
        >>> from ultralightunet.cohort import DaskCluster, Recipe, plan_cohort, run_cohort
        >>> from ultralightunet.events import finish
        >>> model = ulu.load_model("hippocampus")
        >>> plan = plan_cohort("sample_data", model, output="results", match=["*hippocampus_left*"])
        >>> finish(run_cohort(plan, "results", Recipe.of(model, threads=1), runner=DaskCluster("local", workers=1))).done
        1
    """

    def __init__(self, address: str, *, workers: int | None = None) -> None:
        try:
            import distributed
        except ImportError:
            raise InputError(
                "expected dask.distributed for --dask, found none installed; install it (pip install 'napari-ultralight[cluster]')"
            ) from None
        # It tells of every worker that comes and goes.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self._cluster: Any = None
        if address == LOCAL:
            # Workers do not count what their processes take, so that a limit of memory would mean nothing.
            self._cluster = distributed.LocalCluster(
                n_workers=workers or _workers_here(distributed),
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
        try:
            self._client: Any = distributed.Client(self._cluster or address, timeout=_PATIENCE)
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(f"expected a Dask scheduler at {address}, found none ({brief(error)}); check the address") from error
        try:
            self._check(address)
        except BaseException:
            self.close()
            raise

    def _check(self, address: str) -> None:
        from .. import __version__

        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
            self._client.get_versions(check=True)
            versions = set(self._client.run(_version).values())
        except TimeoutError:
            raise InputError(f"expected workers at the Dask scheduler {address}, found none; start some, and try again") from None
        except (ValueError, ImportError, ModuleNotFoundError) as error:
            raise InputError(
                f"expected workers with the same Dask and UltraLight, found others at {address} ({brief(error)}); install the same"
            ) from error
        if versions != {__version__}:
            raise InputError(
                f"expected workers with UltraLight {__version__}, found {', '.join(sorted(versions))} at {address}; install the same"
            )

    def label_all(
        self, cases: Sequence[Case], place: Place, recipe: Recipe, *, limit: float | None
    ) -> Generator[Progress | CaseRecord, None, None]:
        """See `Runner`."""
        from distributed import KilledWorker, as_completed

        # Workers may stand in other folders.
        there = Place(place.folder.absolute())
        waiting = iter([replace(case, image=case.image.absolute()) for case in cases])
        known: dict[str, Case] = {}
        running = as_completed()
        try:
            done = 0
            while True:
                room = _IN_FLIGHT * max(1, len(self._client.scheduler_info(n_workers=-1)["workers"])) - running.count()
                for case in _first(waiting, room):
                    future = self._client.submit(_label, case.facts(), str(there.folder), asdict(recipe), limit, pure=False)
                    known[future.key] = case
                    running.add(future)
                if not running.count():
                    return
                yield Progress("Labelling", done, len(cases))
                for future in running.next_batch(block=False):
                    case = known.pop(future.key)
                    try:
                        record = record_from(future.result())
                    except KilledWorker:
                        record = failed(
                            case, there, recipe, "expected labels, found that each worker that tried was lost; look at the case's log"
                        )
                    done += 1
                    yield record
                time.sleep(0.05)
        except (OSError, CancelledError) as error:
            raise UltraLightError(
                f"expected the Dask scheduler to stay, found it lost ({brief(error)}); what is done is kept: give the same command again"
            ) from error
        finally:
            self._client.cancel(list(running.futures))

    def close(self) -> None:
        """End the local workers, or leave those of others as they are."""
        with suppress(OSError, TimeoutError):
            self._client.run(_end_processes)
        self._client.close(timeout=10)
        if self._cluster is not None:
            self._cluster.close(timeout=10)


_processes: dict[int, WarmProcess] = {}
"""On a worker: the warm process of each of its threads."""


def _label(case: Mapping[str, str], folder: str, recipe: Mapping[str, Any], limit: float | None) -> dict[str, Any]:
    """On a worker: the record of a case, as facts."""
    process = _processes.setdefault(threading.get_ident(), WarmProcess())
    return asdict(finish(label_one(process, case_from(case), Place(Path(folder)), recipe_from(recipe), limit=limit)))


def _end_processes() -> None:
    """On a worker: leave no model in its memory."""
    while _processes:
        _processes.popitem()[1].close()


def _version() -> str:
    from .. import __version__

    return __version__


def _workers_here(distributed: Any) -> int:
    return max(1, min(int(distributed.system.CPU_COUNT), int(distributed.system.MEMORY_LIMIT // _MEMORY)))


def _first(waiting: Iterable[Case], count: int) -> list[Case]:
    return [case for _, case in zip(range(count), waiting, strict=False)]
