"""The store of corrected cases: what a person mended is kept whole, never rewritten, and ready to train from.

Nothing in a store tells who the patient is: no name, no path, no date of the image, and the patient key only as a salted hash.
"""

from __future__ import annotations

from .checking import Problem, Report
from .masks import Checked, checked_mask
from .place import default_store
from .records import Revision
from .roles import Role
from .store import SCHEMA_VERSION, Store
from .summary import ClassChange, Summary, summarize

__all__ = [
    "SCHEMA_VERSION",
    "Checked",
    "ClassChange",
    "Problem",
    "Report",
    "Revision",
    "Role",
    "Store",
    "Summary",
    "checked_mask",
    "default_store",
    "summarize",
]
