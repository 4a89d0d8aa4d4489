"""Which case next: images with a state each, handed to one reader at a time, and what two readers of one case agree on.

>>> from ultralightunet.worklist import create_worklist
>>> worklist, passed_by = create_worklist("heads", "sample_data", match=["*hippocampus*"])
>>> handed = worklist.next("Anna")
>>> handed.case.name, handed.image.name
('colin27_hippocampus_left', 'colin27_hippocampus_left.nii.gz')
>>> worklist.check(handed.case.name, "Anna", note="a clear case").state
'checked'
>>> worklist.next("Anna").case.name
'colin27_hippocampus_right'
"""

from __future__ import annotations

from .agreement import ReadersAgreement, agreements, consensus
from .cases import CHECKED, IN_WORK, LABELLED, REJECTED, STATES, TO_DO, ListedCase, Reading
from .creating import create_worklist
from .worklist import Handed, Worklist

__all__ = [
    "CHECKED",
    "IN_WORK",
    "LABELLED",
    "REJECTED",
    "STATES",
    "TO_DO",
    "Handed",
    "ListedCase",
    "ReadersAgreement",
    "Reading",
    "Worklist",
    "agreements",
    "consensus",
    "create_worklist",
]
