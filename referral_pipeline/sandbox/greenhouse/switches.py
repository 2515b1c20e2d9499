"""Every point on which public sources about Harvest v3 disagree or are silent, with the documented alternatives.

Belongs here: one field per open question, its default the likelier reading, its docstring the question. Does not belong
here: what is certain. A client must work under every setting; tests run each switch both ways.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field


class Switches(BaseModel):
    """One setting of all switches. Frozen: a change makes a new one (`changed`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    # ---------------------------------------------------------------- token endpoint
    token_expiry: Literal["expires_in", "expires_at", "both", "jwt_only"] = "expires_in"  # noqa: S105
    """Which field of the token answer tells the expiry."""
    token_expires_at_format: Literal["z", "offset"] = "z"  # noqa: S105
    """`expires_at` with `Z`, or with `+0000` as one connector's mocks show it."""
    token_revocation: bool = False
    """Whether minting a token ends the older ones of the same credential ("single active token")."""
    client_without_scopes: Literal["refused", "empty_token"] = "refused"
    """What a credential without any scope gets."""
    token_lifetime_seconds: float = Field(default=3600, gt=0)
    """Life of an access token; a day is documented for client credentials of partners, an hour for the rest."""
    token_limit: int = Field(default=60, ge=1)
    """Token calls per credential in a fixed window of 60 seconds; the number is not published."""

    # ---------------------------------------------------------------- what the tenant's plan and scopes allow
    operations_forbidden: tuple[str, ...] = ()
    """Operations, as the call counts name them (`POST /v3/candidates`), whose scope the credential lacks (403)."""
    operations_absent: tuple[str, ...] = ()
    """Operations that this account does not have at all (404)."""

    # ---------------------------------------------------------------- rate and errors
    rate_limit: int = Field(default=75, ge=1)
    """Calls per credential and window; not published, 75 in the documentation's example."""
    rate_window_seconds: float = Field(default=30, gt=0)
    """The fixed window. Certain (30); settable so that a test or a demonstration need not wait."""
    rate_headers_on_401: bool = False
    """The documentation says headers come on every response; a probe saw none on a 401."""
    too_many_requests_body: Literal["message", "empty"] = "message"
    """Body of a 429."""
    forbidden_body: Literal["message", "message_and_errors", "empty"] = "message"
    """Body of a 403."""
    unknown_id: Literal["404", "422"] = "404"
    """Answer of PATCH and the verbs to an id that names nothing."""
    malformed_json: Literal["400", "422"] = "400"
    """Answer to a body that is no JSON."""
    error_entries: Literal["documented", "v1"] = "documented"
    """Entries of a 422: sentences and one-key objects, or the `{message, field}` of v1."""

    # ---------------------------------------------------------------- lists
    in_process_filter: Literal["refused", "empty"] = "refused"
    """`?status=in_process`: the documented enumeration says `active`."""
    two_sided_dates: Literal["accepted", "refused"] = "accepted"
    """`gte|..|lte|..`: used in production by one connector, only one side is shown by the documentation."""
    bracket_dates: Literal["refused", "accepted"] = "refused"
    """`created_at[gte]=`, which one client sends."""
    cursor_lifetime_seconds: float | None = Field(default=None, gt=0)
    """Life of a cursor; None = no end."""
    link_relations: Literal["next", "next_and_prev"] = "next"
    """The pagination page says next only, a migration guide still speaks of prev."""
    last_page_link: Literal["missing", "empty"] = "missing"
    """The Link header of a last page."""
    message_rows: Literal["off", "every_page", "private", "processing"] = "off"
    """Rows `{"message": ...}` among candidates: never, one on each page, for private or for still invisible ones."""
    visibility_lag_seconds: float = Field(default=0, ge=0)
    """How long a candidate or application created through the API stays out of lists (writes by id work at once)."""
    rejection_details_lag_seconds: float = Field(default=0, ge=0)
    """How long rejection details lag behind the rejection."""

    # ---------------------------------------------------------------- what rows show
    newer_application_fields: bool = True
    """`job_interview_stage_id` and `rejection_reason_id` on applications, absent from the March and July documents."""
    terminal_stage: Literal["kept", "nulled"] = "kept"
    """Stage fields of a rejected or hired application: measured as kept, described as null."""
    stage_id_shows: Literal["application_stage", "job_interview_stage"] = "application_stage"
    """`stage_id` of an application: the id of its own stage row, or, as one description has it, the interview stage."""
    undocumented_fields: bool = False
    """Rows with a field that no document names; one was measured although the schemas forbid it."""
    answers: Literal["list", "null", "null_answers"] = "list"
    """`answers` of an application: a list, null, or a list whose `answer` may be null."""
    number_values: Literal["number", "string"] = "number"
    """How the value of a number field reads."""
    custom_field_map: Literal["set_only", "all_defined"] = "set_only"
    """Whether fields never set show up in the map, with a null value."""
    empty_custom_fields: Literal["object", "null"] = "object"
    """A map with nothing in it."""
    offer_dates: Literal["date", "datetime"] = "date"
    """`starts_on` and `sent_on`: declared as dates, tolerated as datetimes."""
    stamps: Literal["millis_z", "seconds_z", "offset"] = "millis_z"
    """How moments are written; examples use milliseconds and Z, nothing is promised."""
    user_emails: Literal["list", "null", "absent"] = "list"
    """`emails` of a user: declared as a list, seen null, missing in examples."""

    # ---------------------------------------------------------------- candidate writes
    candidate_create_answer: Literal["wrapped", "flat"] = "wrapped"
    """`{"candidate", "application"}` or the candidate alone."""
    missing_application: Literal["null", "absent"] = "null"
    """`application` in the wrapped answer when none was asked for."""
    candidate_patch_answer: Literal["flat", "wrapped"] = "flat"
    """Answer of PATCH /v3/candidates/{id}."""
    nested_application_custom_fields: Literal["accepted", "refused"] = "accepted"
    """Whether the application inside a candidate create may carry custom fields."""
    unknown_tag: Literal["created", "refused"] = "created"
    """A tag name that no tag has."""
    custom_fields_patch: Literal["replace", "merge"] = "replace"
    """Whether PATCH replaces the whole set of custom fields."""
    select_write: Literal["id", "id_or_name"] = "id"
    """Whether a select may be written by option name."""
    merge_answer: Literal["200", "201"] = "200"
    """Status of a merge, which answers the primary."""
    anonymize_answer: Literal["200", "202", "204"] = "200"
    """Status of an anonymization; large ones are done later."""
    tag_and_offer_create_answer: Literal["201", "200"] = "201"
    """Status of creating an offer, a tag or an applied tag."""
    delete_answer: Literal["200", "204"] = "200"
    """Status of every DELETE."""

    # ---------------------------------------------------------------- application and offer writes
    from_stage_id: Literal["job_interview_stage_id", "application_stage_id"] = "job_interview_stage_id"
    """Which id `from_stage_id` of a move is."""
    move_with_both_targets: Literal["accepted", "refused"] = "accepted"
    """A move with to_job_id and to_stage_id at once."""
    duplicate_application: Literal["refused", "refused_any", "allowed"] = "refused"
    """A second application on the same job: refused while one is open, refused always, or allowed."""
    closed_job_application: Literal["refused", "allowed"] = "refused"
    """An application on a job that is closed or a draft."""
    hire_without_opening: Literal["refused", "allowed"] = "refused"
    """A hire on a job with no open opening."""
    hire_with_many_openings: Literal["refused", "first_open"] = "refused"
    """A hire without opening_id while more than one opening is open."""
    offer_on_hire: Literal["unchanged", "accepted"] = "unchanged"
    """What a hire does to an offer that nobody has answered."""
    offer_status_patch: Literal["refused", "accepted"] = "refused"
    """Whether an offer's status can be set through the API."""
    rejection_email: Literal["pair_required", "free"] = "pair_required"
    """Whether email_template_id and send_email_at must come together."""
    tag_applied_twice: Literal["refused", "same_row"] = "refused"
    """Applying a tag that the candidate already has."""

    def changed(self, changes: dict[str, Any]) -> Self:
        """These switches with some of them changed. Raises pydantic.ValidationError for a name or value unknown."""
        return self.model_validate({**self.model_dump(), **changes})
