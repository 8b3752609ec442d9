"""Our data: one file per noun. Every table is named here, so that importing this package knows them all."""

from pkgsite.models.base import Base, begin_write, prepare_engine
from pkgsite.models.category import Category
from pkgsite.models.grid import Cell, Feature, Grid, GridPackage, OldGridSlug
from pkgsite.models.job import JobRun, Lease
from pkgsite.models.package import OldPackageSlug, Package
from pkgsite.models.pending_edit import HeldEdit
from pkgsite.models.release import Release
from pkgsite.models.revision import Revision
from pkgsite.models.search import SearchEntry, SearchStale, SearchWord
from pkgsite.models.source import HostState, ImportProgress, Sample, SourceState
from pkgsite.models.usage import Favourite, Flag, SiteUsing, Usage
from pkgsite.models.user import ApiToken, Identity, KeptAnswer, LoginAttempt, LoginSession, OutboxMessage, User

__all__ = [
    "ApiToken",
    "Base",
    "Category",
    "Cell",
    "Favourite",
    "Feature",
    "Flag",
    "Grid",
    "GridPackage",
    "HeldEdit",
    "HostState",
    "Identity",
    "ImportProgress",
    "JobRun",
    "KeptAnswer",
    "Lease",
    "LoginAttempt",
    "LoginSession",
    "OldGridSlug",
    "OldPackageSlug",
    "OutboxMessage",
    "Package",
    "Release",
    "Revision",
    "Sample",
    "SearchEntry",
    "SearchStale",
    "SearchWord",
    "SiteUsing",
    "SourceState",
    "Usage",
    "User",
    "begin_write",
    "prepare_engine",
]
