"""What starts a run: schedules with the right month and time, and a sensor that asks once for each new dump."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from orchestration.scheduling import sensors
from orchestration.scheduling.jobs import month_end_schedule
from orchestration.scheduling.running import PLANNED_FOR, Clock
from orchestration.scheduling.sensors import new_dumps


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("USAGE_HOME", str(tmp_path))
    monkeypatch.setattr(sensors, "SETTLED_SECONDS", 0)
    return tmp_path / "inbox"


class Ticks:
    """A sensor's ticks, each with the cursor that the last one left."""

    def __init__(self, instance: dg.DagsterInstance, defs: dg.Definitions) -> None:
        self.instance, self.defs, self.cursor = instance, defs, None

    def tick(self) -> list[str | None]:
        context = dg.build_sensor_context(self.instance, cursor=self.cursor, definitions=self.defs)
        data = new_dumps.evaluate_tick(context)
        self.cursor = data.cursor
        return [request.run_key for request in data.run_requests]


@pytest.fixture
def ticks(instance: dg.DagsterInstance, defs: dg.Definitions) -> Ticks:
    return Ticks(instance, defs)


def put(inbox: Path, name: str, modified: float | None = None) -> Path:
    path = inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}\n")
    if modified:
        os.utime(path, (modified, modified))
    time.sleep(0.02)  # the file system's clock is coarser than ours
    return path


def test_a_new_dump_asks_for_one_run(inbox: Path, ticks: Ticks) -> None:
    assert ticks.tick() == []
    put(inbox, "events/a.jsonl")
    put(inbox, "events/b.jsonl")
    assert len(ticks.tick()) == 1
    assert ticks.tick() == []
    put(inbox, "reference/prices.csv", modified=1_000_000_000)  # moved in with an old modification time
    assert len(ticks.tick()) == 1
    assert ticks.tick() == []


def test_a_removed_or_hidden_file_asks_for_nothing(inbox: Path, ticks: Ticks) -> None:
    old = put(inbox, "events/a.jsonl")
    put(inbox, "events/b.jsonl")
    ticks.tick()
    old.unlink()
    put(inbox, "events/.c.jsonl.upload")
    assert ticks.tick() == []


def test_a_file_still_written_to_waits(inbox: Path, ticks: Ticks, monkeypatch: pytest.MonkeyPatch) -> None:
    put(inbox, "events/a.jsonl")
    monkeypatch.setattr(sensors, "SETTLED_SECONDS", 60)
    assert ticks.tick() == []
    monkeypatch.setattr(sensors, "SETTLED_SECONDS", 0)
    assert len(ticks.tick()) == 1


def test_no_second_run_while_one_waits(
    inbox: Path, ticks: Ticks, instance: dg.DagsterInstance, defs: dg.Definitions
) -> None:
    put(inbox, "events/a.jsonl")
    run = instance.create_run_for_job(defs.resolve_job_def("nightly"), status=dg.DagsterRunStatus.STARTING)
    assert ticks.tick() == []
    instance.delete_run(run.run_id)
    assert len(ticks.tick()) == 1


@pytest.mark.parametrize(("due", "period"), [("2026-10-05T12:00:00", "2026-09"), ("2027-01-05T12:00:00", "2026-12")])
def test_month_end_is_for_the_month_before(
    due: str, period: str, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    at = datetime.fromisoformat(due).replace(tzinfo=UTC)
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=at)
    request = month_end_schedule(context)
    assert request.partition_key == period
    assert datetime.fromisoformat(request.tags[PLANNED_FOR]) == at


class Planned:
    """As much of a step's context as the clock looks at."""

    def __init__(self, instance: dg.DagsterInstance, defs: dg.Definitions, parent: str | None) -> None:
        self.instance = instance
        self.run = instance.create_run_for_job(
            defs.resolve_job_def("nightly"),
            tags={PLANNED_FOR: "2026-10-05T12:00:00+00:00"},
            parent_run_id=parent,
            root_run_id=parent,
        )


def test_a_run_knows_its_time(defs: dg.Definitions, instance: dg.DagsterInstance) -> None:
    planned = Planned(instance, defs, None)
    repeated = Planned(instance, defs, planned.run.run_id)
    due = datetime(2026, 10, 5, 12, tzinfo=UTC)
    assert Clock().now_in(planned) == due
    assert Clock().now_in(repeated) != due, "a receipt is not dated back by a re-execution"
    assert abs((Clock().now_in(repeated) - datetime.now(UTC)).total_seconds()) < 60
    assert Clock(as_of="2026-11-01T00:00:00+01:00").now_in(repeated) == datetime(2026, 10, 31, 23, tzinfo=UTC)
