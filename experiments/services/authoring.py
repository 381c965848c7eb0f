"""Turns what a person wrote into an experiment and its next immutable version."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max

from experiments import backends
from experiments.domain import patching, spec, text, uses
from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.models import Experiment, ExperimentVersion, User
from experiments.selectors import named_slis
from experiments.services import clock, people

_LONGEST_NAME = 63


class ConflictError(Exception):
    """Somebody saved meanwhile: ``newest`` is theirs, and nothing of ours is stored."""

    def __init__(self, newest: ExperimentVersion) -> None:
        self.newest = newest
        super().__init__(f"version {newest.number} has been saved meanwhile")


def validate(raw: Any, *, values: dict[str, Any] | None = None) -> spec.Parsed:
    """Read a document and report every error at once; stores nothing.

    An SLI of a service is what its copy says; without one, as in a draft, what its service says.
    """
    named = named_slis.for_document(raw)
    return spec.parse(raw, faults=backends.faults(), values=values, named=named)


def frozen(raw: Any) -> Any:
    """Return the document as a version keeps it: beside each ``use`` what it stands for now."""
    own = uses.bare(raw)
    return uses.resolve(own, named_slis.for_document(own))[0]


def save(
    *,
    raw: Any,
    author: User,
    message: str = "",
    experiment: Experiment | None = None,
    written: str | None = None,
    based_on: int | None = None,
) -> ExperimentVersion:
    """Store the document as a new experiment, or as the next version of one.

    ``written`` is the author's own YAML; without it the document is patched into the text of the
    newest version, so that comments stay. What equals the newest version, text and all, makes none.
    The version's document has a copy of every SLI of a service that it uses, taken now; its text
    has none.
    ``based_on`` is the number of the version that the author began with. Raises
    InvalidDocumentError with every error, PermissionDenied, and ConflictError where a newer
    version than ``based_on`` says something else.
    """
    people.require(author, "author_experiment", "write experiments")
    own, kept = uses.bare(raw), frozen(raw)
    if written is not None and uses.COPY in written and text.read(written) != own:
        # Copies that came along, as in a version that somebody downloaded as JSON.
        written = patching.patch(written, own).text
    document = validate(kept).or_raise()
    with transaction.atomic():
        if experiment is None:
            experiment = _new(document.metadata.name, author)
        elif experiment.name != document.metadata.name:
            raise InvalidDocumentError(
                [
                    SpecError(
                        ("metadata", "name"),
                        f"must stay “{experiment.name}”: the name is the experiment's address",
                    )
                ]
            )
        else:
            # Two people who save at once get two numbers, not one error.
            experiment = Experiment.objects.select_for_update().get(pk=experiment.pk)
        newest = experiment.versions.first()
        if newest is not None and newest.document == kept and written in (None, newest.text):
            return newest
        if newest is not None and based_on is not None and newest.number != based_on:
            raise ConflictError(newest)
        experiment.title = document.title
        experiment.service = document.metadata.service
        experiment.save()
        number = experiment.versions.aggregate(last=Max("number"))["last"] or 0
        return ExperimentVersion.objects.create(
            experiment=experiment,
            number=number + 1,
            document=kept,
            text=written if written is not None else _text(own, newest),
            message=message,
            author=author,
        )


def restore(
    *, version: ExperimentVersion, author: User, message: str = "", based_on: int | None = None
) -> ExperimentVersion:
    """Store an old version once more, as the next one; copies of services' SLIs are taken now.

    ``based_on`` is the newest version that the author has seen. Raises as ``save`` does.
    """
    return save(
        raw=version.document,
        author=author,
        message=message or f"Restores version {version.number}",
        experiment=version.experiment,
        written=version.text,
        based_on=based_on,
    )


def duplicate(
    *, version: ExperimentVersion, author: User, name: str, title: str
) -> ExperimentVersion:
    """Store the version as a new experiment; its text keeps its comments. Raises as ``save``."""
    own = uses.bare(version.document)
    metadata = {**own.get("metadata", {}), "name": name}
    if title:
        metadata["title"] = title
    raw = {**own, "metadata": metadata}
    return save(
        raw=raw,
        author=author,
        message=f"A copy of {version}"[:200],
        written=patching.patch(version.text, raw).text,
    )


def free_name(name: str) -> str:
    """Return a name that no experiment has: the name with a number behind it."""
    number = 2
    while True:
        ending = f"-{number}"
        made = f"{name[: _LONGEST_NAME - len(ending)].rstrip('-_')}{ending}"
        if not Experiment.objects.filter(name=made).exists():
            return made
        number += 1


def archive(*, experiment: Experiment, user: User) -> bool:
    """Take the experiment out of the list; it cannot be run until it is unarchived.

    Runs that are live go on. Return whether it was not archived already. Raises PermissionDenied.
    """
    people.require(user, "author_experiment", "archive experiments")
    rows = Experiment.objects.filter(pk=experiment.pk, archived_at__isnull=True)
    return bool(rows.update(archived_at=clock.now()))


def unarchive(*, experiment: Experiment, user: User) -> bool:
    """Put the experiment back into the list. Raises PermissionDenied."""
    people.require(user, "author_experiment", "unarchive experiments")
    rows = Experiment.objects.filter(pk=experiment.pk, archived_at__isnull=False)
    return bool(rows.update(archived_at=None))


def _text(raw: Any, newest: ExperimentVersion | None) -> str:
    """Return the document as YAML, as its author wrote what has not changed."""
    return text.write(raw) if newest is None else patching.patch(newest.text, raw).text


def _new(name: str, author: User) -> Experiment:
    """Take the name, or say that somebody else has; two who save at once get one of each."""
    try:
        with transaction.atomic():
            return Experiment.objects.create(name=name, created_by=author)
    except IntegrityError as error:
        taken = SpecError(("metadata", "name"), f"“{name}” is taken; choose another name")
        raise InvalidDocumentError([taken]) from error
