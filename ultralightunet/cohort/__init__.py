"""Many scans: planned, labelled one after the other or in parts at once, gone on with after any failure, and shown in a table.

>>> import ultralightunet as ulu
>>> from ultralightunet.cohort import Recipe, plan_cohort, run_cohort
>>> model = ulu.load_model("hippocampus")
>>> plan = plan_cohort("sample_data", model, output="results", match=["*hippocampus_left*"])
>>> for event in run_cohort(plan, "results", Recipe.of(model)):
...     pass
>>> import json
>>> json.load(open("results/labels/colin27_hippocampus_left.json"))["state"]
'done'
"""

from __future__ import annotations

from .bids import plan_bids
from .cases import Case, in_shard
from .finding import Plan, plan_cohort
from .on_dask import DaskCluster
from .one_case import Labeller
from .place import Place, open_place
from .ratings import Rating, read_ratings
from .recipe import Recipe
from .records import CaseRecord, ClassVolume
from .report import write_report
from .run import CaseEnded, Summary, run_cohort
from .runners import OneProcess, Runner

__all__ = [
    "Case",
    "CaseEnded",
    "CaseRecord",
    "ClassVolume",
    "DaskCluster",
    "Labeller",
    "OneProcess",
    "Place",
    "Plan",
    "Rating",
    "Recipe",
    "Runner",
    "Summary",
    "in_shard",
    "open_place",
    "plan_bids",
    "plan_cohort",
    "read_ratings",
    "run_cohort",
    "write_report",
]
