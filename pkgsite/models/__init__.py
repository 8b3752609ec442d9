"""The database models. Every model is imported here, so that importing this package registers all tables."""

from pkgsite.models.base import (
    Base,
    allow_new_file,
    began_as_write,
    begin_write,
    complete_file,
    configure_engine,
    dump_json,
    engine_options,
    record_file,
)
from pkgsite.models.category import Category
from pkgsite.models.grid import Cell, Feature, Grid, GridPackage, GridSlugRedirect
from pkgsite.models.job import JobRun, Lease
from pkgsite.models.package import Package, PackageSlugRedirect
from pkgsite.models.pending_edit import PendingEdit
from pkgsite.models.release import Release
from pkgsite.models.revision import Revision
from pkgsite.models.search import SearchEntry, SearchStale, SearchWord
from pkgsite.models.source import DailySample, HostState, ImportProgress, SourceState
from pkgsite.models.usage import Favourite, Flag, Usage, UsingSite
from pkgsite.models.user import (
    ApiToken,
    IdempotentResponse,
    Identity,
    LoginAttempt,
    LoginSession,
    OutboxMessage,
    SavedSubmission,
    User,
)

__all__ = [
    "ApiToken",
    "Base",
    "Category",
    "Cell",
    "DailySample",
    "Favourite",
    "Feature",
    "Flag",
    "Grid",
    "GridPackage",
    "GridSlugRedirect",
    "HostState",
    "IdempotentResponse",
    "Identity",
    "ImportProgress",
    "JobRun",
    "Lease",
    "LoginAttempt",
    "LoginSession",
    "OutboxMessage",
    "Package",
    "PackageSlugRedirect",
    "PendingEdit",
    "Release",
    "Revision",
    "SavedSubmission",
    "SearchEntry",
    "SearchStale",
    "SearchWord",
    "SourceState",
    "Usage",
    "User",
    "UsingSite",
    "allow_new_file",
    "began_as_write",
    "begin_write",
    "complete_file",
    "configure_engine",
    "dump_json",
    "engine_options",
    "record_file",
]
