"""What `hitl connect` says: the policy that becomes active, an unfinished attempt, and what can be learned."""

from __future__ import annotations

import pytest

from feedback.policy import Policy
from feedback.project.connect import connect, describe_learning, describe_store_changes
from feedback.settings import Settings
from feedback.store import ProjectRow
from ml_backend.errors import LabelConfigError
from ml_backend.features.media_fetcher import MediaFetcher
from tests.support.stores import fresh

SNAPSHOT = {"title": "Reviews"}


def test_a_policy_that_becomes_active_is_named_and_one_that_stays_is_not():
    new = Policy.model_validate({"tiers": {"L1": {"title": "Triage"}}})

    (told,) = describe_store_changes(ProjectRow("7"), new)
    assert told.startswith(f"policy: {Policy().hash} -> {new.hash}")
    assert describe_store_changes(ProjectRow("7"), Policy()) == []


def test_an_attempt_that_had_not_finished_is_told():
    half = ProjectRow("7", settings_snapshot=SNAPSHOT)

    assert describe_store_changes(half, Policy()) == [
        "an earlier `hitl connect` had not finished; this one finishes it"
    ]
    assert describe_store_changes(ProjectRow("7", settings_snapshot=SNAPSHOT, connected=True), Policy()) == []


_TEXT, _LABELS = '<Text name="t" value="$text"/>', '<Choice value="Billing"/><Choice value="Delivery"/>'
_NESTED = '<Choice value="Billing"><Choice value="Refund"/></Choice><Choice value="Other"/>'


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (f'{_TEXT}<Choices name="c" toName="t" value="$options"/>', ["in all of the first 1 tasks: no options"]),
        (f'{_TEXT}<Choices name="c" toName="t" allowNested="true">{_NESTED}</Choices>', []),
        (f'{_TEXT}<choices name="c" toName="t">{_LABELS.lower()}</choices>', []),
        (
            (
                f'{_TEXT}<Choices name="c" toName="t" perRegion="true">{_LABELS}</Choices>'
                '<Labels name="l" toName="t"><Label value="Product"/></Labels>'
            ),
            ["no installed recipe learns labels on text", "leaves c as", "cannot learn 'c'", "each region (perRegion)"],
        ),
        (
            f'<Text name="t" value="$text" valueType="url"/><Choices name="c" toName="t">{_LABELS}</Choices>',
            ["address in the field 'text'", "which is not fetched", "random order", "Import the content itself"],
        ),
        (f'{_TEXT}<Choices name="c" toName="t"/>', ["list of labels is empty", "Add <Choice"]),
        (
            f'<Image name="i" value="$image"/><Choices name="c" toName="i">{_LABELS}</Choices>',
            ["in all of the first 1 tasks", "gs://bucket/p.png' is not fetched", "keys of the bucket"],
        ),
    ],
    ids=["dynamic", "nested", "small letters", "per region", "behind an address", "without labels", "in a bucket"],
)
def test_what_is_learned_and_what_is_not_is_said_before_anybody_works(config, said):
    data = [{"text": "where is my parcel?", "image": "gs://bucket/p.png"}]

    first, *others = describe_learning(
        f"<View>{config}</View>", Policy(), data=data, check_address=MediaFetcher().check
    )

    assert first.startswith("works on control")
    assert len(others) >= bool(said)
    assert all(words in " ".join(others) for words in said)
    assert said or others == []


@pytest.mark.parametrize(
    ("config", "reasons"),
    [
        (
            (
                '<Repeater on="$pages" indexFlag="{{idx}}"><Text name="p_{{idx}}" value="$pages[{{idx}}].text"/>'
                f'<Choices name="c_{{{{idx}}}}" toName="p_{{{{idx}}}}">{_LABELS}</Choices></Repeater>'
            ),
            ["'c_{{idx}}' (choices on text)", "stands in a Repeater", "outside the Repeater"],
        ),
        ('<Chat name="t" value="$t"/><ChatMessage name="m" toName="t"/>', ["answers of the kind 'chatmessage'"]),
        (
            ('<Image name="i" value="$i"/><Bitmask name="b" toName="i"/><KeyPoint name="k" toName="i"/>'),
            ["'b' (bitmask on image)", "'k' (keypoint on image)"],
        ),
    ],
)
def test_a_project_of_which_nothing_can_come_is_refused_before_any_change(tmp_path, config, reasons):
    class ReadOnce:  # any other request fails
        def project(self, _project):
            return {"id": 7, "title": "Pages", "label_config": f"<View>{config}</View>"}

    store = fresh(tmp_path / "hitl.db")
    for dry_run in (True, False):
        with pytest.raises(LabelConfigError, match="no control's answers can be learned or compared") as refused:
            connect(Settings(), store, ReadOnce(), "7", dry_run=dry_run, now_s=0.0)

        said = f"{refused.value} {refused.value.hint}"
        assert all(reason in said for reason in reasons)
        assert store.projects.list_projects() == []
