"""The policies: which one is active for a project, and the text of each that ever was."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from feedback.errors import PolicyError
from feedback.policy import Policy
from feedback.policy.hitl_toml import policy_from_json, policy_to_json
from feedback.store.database.engine import Database
from feedback.store.repositories.jobs import JobsRepository
from feedback.store.repositories.projects import ProjectsRepository
from feedback.store.repositories.records import RecordsRepository
from feedback.store.tables.main_tables import ProjectRow


@dataclass(frozen=True, slots=True)
class Activation:
    """One policy that became active."""

    hash: str
    at_s: float
    who: str
    before: str  # the hash of the one before; "" for the first


class PoliciesRepository:
    """The policies of each project, those that were active before included."""

    def __init__(
        self, database: Database, projects: ProjectsRepository, records: RecordsRepository, jobs: JobsRepository
    ) -> None:
        self._database, self._projects, self._records, self._jobs = database, projects, records, jobs

    def create_policy(self, project: str, policy: Policy) -> str:
        """Store a policy by its hash, so that its decisions can be replayed; return the hash. Safe to repeat."""
        self._records.create_record(project, "policy", {"policy": policy_to_json(policy)}, key=policy.hash)
        return policy.hash

    def activate_policy(self, project: ProjectRow, policy: Policy, *, who: str, now_s: float) -> Activation:
        """Make a policy the active one of a project and request a turn. Repeating it records nothing more."""
        before = project.policy.hash if project.options.get("policy") else ""
        done = Activation(policy.hash, now_s, who, before)
        with self._database.write():
            self.create_policy(project.id, policy)
            self._projects.save_project(replace(project, options={**project.options, "policy": policy_to_json(policy)}))
            if before != policy.hash:
                self._records.create_record(project.id, "policy_active", asdict(done))
            self._jobs.request_job(project.id, "turn")
        return done

    def list_activations(self, project: str) -> list[Activation]:
        """Return every policy that became active, newest first."""
        return [
            Activation(**record.body) for record in self._records.list_records(project, "policy_active", limit=None)
        ]

    def get_policy(self, project: str, policy_hash: str) -> Policy:
        """Return the policy of a hash; PolicyError where that policy was never active in the project."""
        stored = self._records.get_latest_record(project, "policy", key=policy_hash)
        if stored is None:
            raise PolicyError(f"no policy {policy_hash} was ever active in project {project}.")
        return policy_from_json(stored.body["policy"], f"policy {policy_hash}")
