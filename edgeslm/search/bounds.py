"""A user's limits as bounds of a problem, and what is said where no plan keeps them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edgeslm.errors import ConfigError, DoesNotFitError
from edgeslm.limits import Limits, Objective, amount
from edgeslm.search.problem import Metric, Problem
from edgeslm.search.solve import relaxations
from edgeslm.search.subject import Subject

METRIC_OF: dict[Objective, Metric] = {
    "fidelity": "loss", "size": "size", "ram": "ram", "latency": "cost", "instructions": "cost",
}  # fmt: skip
FLAGS = {
    "size": "--max-size", "ram": "--max-ram", "latency": "--max-latency", "instructions": "--max-instructions",
    "fidelity": "--min-fidelity",
}  # fmt: skip
UNITS = {"size": "B", "ram": "B", "latency": "ms", "instructions": "", "fidelity": ""}


def fidelity_of(loss: float, *, language: bool) -> float:
    """What is left: of an embedding 1 - (1 - cosine), of a language model the perplexity that is kept, exp(-KL), as
    KL is what cross entropy grows by on texts that the model itself would write."""
    return math.exp(-loss) if language else 1 - loss


def loss_of(fidelity: float, *, language: bool) -> float:
    if language:
        return -math.log(fidelity) if fidelity > 0 else math.inf
    return 1 - fidelity


@dataclass(frozen=True)
class Bounds:
    """`fidelity` is the least, `limits.objective` what is to be best, `room` what the target itself has. Raises
    ConfigError where they make no sense."""

    subject: Subject
    limits: Limits
    fidelity: float | None
    room: Mapping[Metric, float]

    def __post_init__(self) -> None:
        limits, profile = self.limits, self.subject.profile
        objective = limits.objective or "fidelity"
        if objective != "fidelity" and self.fidelity is None:
            raise ConfigError(
                f"--objective {objective} without a limit on fidelity leaves a model that means nothing",
                "add --min-fidelity 0.97, or another share that is to be kept",
            )
        if limits.latency_ms is not None and limits.instructions is not None:
            raise ConfigError(
                "--max-latency and --max-instructions exclude each other: a profile knows one of them",
                "leave one of them out",
            )
        timed = limits.latency_ms is not None or objective == "latency"
        counted = limits.instructions is not None or objective == "instructions"
        if timed and counted:
            raise ConfigError("a profile knows latency or instructions, not both", "limit and aim for the same one")
        if (timed or counted) and not self.subject.has_costs:
            name, backend = self.subject.target.name, self.subject.backend
            raise ConfigError(f"nothing is known of what kernels cost with {backend} on {name}", self._who_knows())
        if timed and profile is not None and profile.unit != "ms":
            name = self.subject.target.name
            raise ConfigError(
                f"--max-latency needs a profile measured on {name}, and the shipped one counts instructions",
                f"edgeslm profile-target --target {name} --via … measures one for --target-profile FILE; "
                "--max-instructions needs none",
            )
        if counted and profile is not None and profile.unit == "ms":
            raise ConfigError(
                f"the profile {profile.name} knows milliseconds, not instructions", "--max-latency limits those"
            )

    def _who_knows(self) -> str:
        target, backend = self.subject.target, self.subject.backend
        if target.is_firmware:
            return "profiles of microcontrollers are of Cortex-M4, -M7 and -M55; --max-size needs none"
        known = "" if backend == "tflite" else f"profiles know --backend tflite, and nothing of {backend}'s kernels; "
        return f"{known}edgeslm profile-target --target {target.name} measures one; --max-size needs none"

    @property
    def language(self) -> bool:
        return self.subject.checkpoint.decoder is not None

    @property
    def objective(self) -> Objective:
        return self.limits.objective or "fidelity"

    @property
    def cost_name(self) -> Objective:
        profile = self.subject.profile
        return "latency" if profile is not None and profile.unit == "ms" else "instructions"

    @property
    def weighs_cost(self) -> bool:
        """Whether a run's cost is limited, or to be least."""
        return METRIC_OF[self.objective] == "cost" or "cost" in self.metrics()

    def asked(self) -> dict[Objective, float]:
        """The limits that there are, as they were given."""
        given: dict[Objective, float | None] = {
            "size": self.limits.size,
            "ram": self.limits.ram,
            "latency": self.limits.latency_ms,
            "instructions": self.limits.instructions,
            "fidelity": self.fidelity,
        }
        return {name: value for name, value in given.items() if value is not None}

    def metrics(self) -> dict[Metric, float]:
        """What a plan's values must be at most. The target's own memories are always limits."""
        found = dict(self.room)
        if self.limits.ram is not None:
            found["ram"] = min(self.limits.ram, found.get("ram", math.inf))
        if self.limits.size is not None:
            found["size"] = min(self.limits.size, found.get("size", math.inf))
        cost = self.limits.latency_ms if self.limits.instructions is None else self.limits.instructions
        if cost is not None:
            found["cost"] = cost
        if self.fidelity is not None:
            found["loss"] = loss_of(self.fidelity, language=self.language)
        return found

    def shown(self, metric: Metric, value: float) -> str:
        """A value of a metric in the words of its limit."""
        if metric == "loss":
            return amount("fidelity", fidelity_of(value, language=self.language))
        return amount(self.cost_name if metric == "cost" else metric, value)

    def infeasible(self, problem: Problem, within: Mapping[Metric, float]) -> DoesNotFitError:
        """Which limits bind, and the nearest values that some plan has."""
        lines, hints = [], []
        for one in relaxations(problem, within):
            name = self._name(one.metric)
            if name not in self.asked() and one.alone <= one.limit:
                continue  # the target's memory, of which there is enough
            sign, edge = ("≥", "at most") if one.metric == "loss" else ("≤", "at least")
            line = f"{name} {sign} {self.shown(one.metric, one.limit)}"
            if one.alone > one.limit:
                line += f"   binds: {edge} {self.shown(one.metric, one.alone)} whatever is chosen"
            if one.nearest is not None and one.nearest > max(one.limit, one.alone):
                line += f"   the other limits leave {edge} {self.shown(one.metric, one.nearest)}"
            if one.nearest is not None and one.nearest > one.limit and name in self.asked():
                hints.append(f"{FLAGS[name]} {self._flag_value(name, one.nearest)}")
            lines.append(line)
        shown = "".join(f"\n         {line}" for line in lines)
        model, target = self.subject.checkpoint.name, self.subject.target.name
        hint = f"any one of these is enough: {'; '.join(hints)}" if hints else "more than one limit must give way"
        return DoesNotFitError(f"no plan of {model} for {target} keeps all limits:{shown}", hint)

    def missed(self, values: Mapping[Objective, float]) -> list[Objective]:
        """Limits that these values do not keep."""
        asked = self.asked()
        found = []
        for name, value in values.items():
            if name in asked and (value < asked[name] if name == "fidelity" else value > asked[name]):
                found.append(name)
        return found

    def kept_by(self, values: Mapping[Objective, float]) -> str:
        """For a plan that was measured and misses: flags that it would keep."""
        flags = []
        for name in self.missed(values):
            least = f"{math.floor(1e4 * values[name]) / 1e4:g}"
            flags.append(f"{FLAGS[name]} {least if name == 'fidelity' else self._flag_value(name, values[name])}")
        return f"{' '.join(flags)} would be kept"

    def _name(self, metric: Metric) -> Objective:
        if metric == "loss":
            return "fidelity"
        return self.cost_name if metric == "cost" else metric

    def _flag_value(self, name: str, value: float) -> str:
        """Rounded so that the plan is within it."""
        if name == "fidelity":
            return f"{math.floor(1e4 * fidelity_of(value, language=self.language) - 1e-6) / 1e4:g}"
        return f"{math.ceil(value * 1000) / 1000:g}ms" if name == "latency" else f"{math.ceil(value)}{UNITS[name]}"
