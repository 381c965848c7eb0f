"""Turns what a person wrote into an experiment and its next immutable version."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max

from experiments import backends
from experiments.domain import patching, spec, text
from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.models import Experiment, ExperimentVersion, User
from experiments.services import people


def validate(raw: Any, *, values: dict[str, Any] | None = None) -> spec.Parsed:
    """Read a document and report every error at once; stores nothing."""
    return spec.parse(raw, faults=backends.faults(), values=values)


def save(
    *,
    raw: Any,
    author: User,
    message: str = "",
    experiment: Experiment | None = None,
    written: str | None = None,
) -> ExperimentVersion:
    """Store the document as a new experiment, or as the next version of one.

    ``written`` is the author's own YAML; without it the document is patched into the text of the
    newest version, so that comments stay. A document that equals the newest version makes none.
    Raises InvalidDocumentError with every error, PermissionDenied.
    """
    people.require(author, "author_experiment", "write experiments")
    document = validate(raw).or_raise()
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
        experiment.title = document.title
        experiment.service = document.metadata.service
        experiment.save()
        newest = experiment.versions.first()
        if newest is not None and newest.document == raw:
            return newest
        number = experiment.versions.aggregate(last=Max("number"))["last"] or 0
        return ExperimentVersion.objects.create(
            experiment=experiment,
            number=number + 1,
            document=raw,
            text=written if written is not None else _text(raw, newest),
            message=message,
            author=author,
        )


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
