"""ProbeReport: what was measured of a bundle, where, and how far it can be believed.

A number that was not measured is null, never zero, and `notes` says what a reader has to know beside the numbers.
Times are only there where they are times of the device: a report with `emulated` true has instructions instead.
The JSON Schema is docs/schema/probe.json. A field is added, never renamed or removed, within one schema version.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, ValidationError

from edgeslm.probe.language_report import LanguagePart, SpeedPart
from edgeslm.probe.measured import InstructionsPart, LatencyPart, Part

SCHEMA_VERSION: Final = 1
MAX_BYTES = 32 << 20
"""Of a report's file; one with 1,000 runs of five lengths has 200 kB."""

EnergySource = Literal["rapl", "battery", "hwmon", "meter"]


class BundlePart(Part):
    """Which bundle was measured."""

    name: str
    digest: str
    task: str
    target: str
    target_title: str
    target_core: str
    backend: str
    scheme: str
    model_bytes: int  # of the model's files; of firmware, the weights in flash
    fidelity_cosine_min: float | None
    below_gate: bool  # built although it missed a fidelity gate


class ConditionPart(Part):
    """The state of the device at one moment."""

    clock_mhz: float | None  # the fastest core's, now
    governor: str | None
    temperature_c: float | None  # the hottest zone's
    throttle_events: int | None  # since boot, where the kernel counts them
    load_average: float | None  # of the last minute
    memory_available_mib: float | None


class DevicePart(Part):
    """What ran the probe."""

    machine: str  # aarch64, x86_64
    cpu: str | None  # model name or part
    core: str | None  # edgeslm's name for it (cortex-a72), where it is known
    cores: int
    board: str | None
    virtual: str | None  # the hypervisor or emulator, where one shows itself
    clock_max_mhz: float | None
    memory_mib: float | None
    system: str | None  # the distribution's name
    kernel: str | None
    glibc: str | None
    is_target: bool  # whether this is the kind of device that the bundle was built for
    before: ConditionPart
    after: ConditionPart | None
    throttled: bool | None  # None where the device does not tell


class RuntimePart(Part):
    """What ran the model."""

    name: str  # ai-edge-litert, openvino, tflite_runtime
    version: str | None
    python: str | None  # None where none runs: a microcontroller's firmware
    threads: int


class LengthPart(Part):
    """One length bucket; a plain module has a single one, without tokens."""

    tokens: int | None
    warm_up_runs: int
    latency_ms: LatencyPart | None
    samples_ms: tuple[float, ...]  # in the order they were taken; empty when emulated
    instructions: InstructionsPart | None
    cycles: int | None = None  # of a board's core


class ThroughputPart(Part):
    """Texts handed over in batches, tokenizing included; examples for a plain module."""

    batch: int
    batches: int
    texts_per_s: float
    tokens_per_s: float | None


class MemoryPart(Part):
    """Of the process that ran the model, in MiB. Under an emulator its own memory is taken off."""

    rss: float | None
    peak_rss: float | None
    private: float | None  # not shared, not mapped from a file


class EnergyPart(Part):
    """Joules per inference at the reference length, or why there are none."""

    measured: bool
    source: EnergySource | None = None
    joules_per_inference: float | None = None  # everything that the source sees
    above_idle: float | None = None  # the same less what the device took while it idled before
    idle_watts: float | None = None
    active_watts: float | None = None
    inferences: int | None = None
    why_not: str | None = None


class OperatorPart(Part):
    """One operator of the runtime's own profile, in the order it ran."""

    kind: str  # the runtime's word for it: "Fully Connected (NC, QD8, F32, QC8W) GEMM"
    layer: str | None  # the checkpoint's module: "encoder.layer.0.attention.self.query"
    ms: float | None
    instructions: float | None


class LayerPart(Part):
    """All operators of one layer, or of one kind where no layer is known."""

    layer: str
    operators: int
    ms: float | None
    instructions: float | None
    share: float  # of the whole profile
    cycles: int | None = None  # of a board's core


class ProfilePart(Part):
    """Where an inference's time or instructions go. Profiling has a cost of its own: shares count, not sums."""

    tokens: int | None
    runs: int
    operators: tuple[OperatorPart, ...]
    layers: tuple[LayerPart, ...]  # the largest first
    covered: float | None  # share of the unprofiled inference that the operators add up to


class PositionPart(Part):
    """What one token takes at one position of the cache, in the unit of FirmwarePart."""

    position: int
    prefill: int  # without the output layer
    decode: int  # with it


class FirmwarePart(Part):
    """What only a microcontroller's firmware has: a cost for each position, and memory that is counted to the byte."""

    compiler: str
    counter: str  # what the board counts with: DWT, PMU, SysTick
    unit: Literal["instructions", "cycles"] = "instructions"  # of positions: cycles where the board is no emulated one
    clock_hz: int | None = None  # what cycles are counted of, by the board's own start-up; None where it is no time
    positions: tuple[PositionPart, ...]
    flash: dict[str, int]  # item -> bytes, from the linker's map
    ram: dict[str, int]
    stack_bytes: int
    stack_used: int | None  # at most: the rest of its paint is still there
    arena_bytes: int
    arena_used: int | None


class AndroidPart(Part):
    """What adb tells of an Android device, and who measured there."""

    mode: Literal["app", "pushed"]  # the demo app, or a Python with glibc that was pushed
    title: str  # maker and model
    release: str  # Android's version
    sdk: int | None  # API level
    abis: tuple[str, ...]
    hardware: str
    soc: str | None
    emulator: bool  # Android's emulator, or another machine that is no device: then there are no times
    fingerprint: str  # of the build


class EstimatedLength(Part):
    tokens: int | None
    ms: float
    error_ms: float


class EstimatePart(Part):
    """Milliseconds foretold for a board from its instructions and bytes; only with the measurements behind it."""

    core: str
    board: str
    lengths: tuple[EstimatedLength, ...]
    ns_per_instruction: float
    ns_per_byte: float
    points: int  # measured (instructions, bytes, ms) triples that the fit rests on
    error: float  # largest relative error when each bundle (of a single one, each length) is foretold from the others
    basis: tuple[str, ...]  # the reports it rests on: "NAME (digest, threads, date)"


class ProbeReport(Part):
    """`edgeslm probe --json`, and the file that is kept."""

    schema_version: Literal[1] = SCHEMA_VERSION
    edgeslm: str
    complete: bool
    problem: str | None  # what ended the probe early
    missing: tuple[str, ...]  # sections that were not reached
    via: str  # local, qemu, serial:PORT, ssh://user@host:port, adb:SERIAL
    emulated: bool
    started_at: str  # UTC, ISO 8601, of the machine that ran the command
    duration_s: float
    bundle: BundlePart
    device: DevicePart
    runtime: RuntimePart
    reference_tokens: int | None  # the length of the figures below; a language model's: the depth of its step
    latency_ms: LatencyPart | None
    instructions: InstructionsPart | None
    ttft_ms: float | None = None  # language models: the median, of the prompt nearest to the reference
    tokens_per_s: SpeedPart | None = None  # language models, where there are times
    load_ms: float | None  # opening the bundle in a fresh process, packing of weights included
    reload_ms: float | None  # opening it once more: packed weights are reused
    first_run_ms: float | None
    peak_rss_mib: float | None
    memory: MemoryPart
    lengths: tuple[LengthPart, ...]
    throughput: tuple[ThroughputPart, ...]
    energy: EnergyPart
    profile: ProfilePart | None
    estimate: EstimatePart | None
    language: LanguagePart | None = None  # language models only, which have neither lengths nor throughput
    firmware: FirmwarePart | None = None  # microcontrollers only
    android: AndroidPart | None = None  # Android devices only
    notes: tuple[str, ...] = Field(default=())

    @property
    def title(self) -> str:
        """What tells this report from others: the bundle and where it ran."""
        return f"{self.bundle.name} {self.bundle.backend} {self.bundle.scheme} on {self.place}"

    @property
    def unit(self) -> str:
        """What is measured once more in every run."""
        return "token" if self.language else "inference"

    @property
    def place(self) -> str:
        """Where it ran, in a few words."""
        device = self.device.board or self.device.cpu or self.device.machine
        core = self.device.core or device
        return f"emulated {core}" if self.emulated else device


class ProbeAnswer(Part):
    """`edgeslm probe --json` for several devices."""

    reports: tuple[ProbeReport, ...]


def parse_report(content: bytes, where: str) -> ProbeReport:
    """Check a report's JSON. Raises ConfigError that names the field."""
    from edgeslm.errors import ConfigError

    try:
        return ProbeReport.model_validate_json(content)
    except ValidationError as error:
        mistakes = error.errors()
        first = mistakes[0]
        field = ".".join(map(str, first["loc"])) or "document"
        more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
        raise ConfigError(
            f"{where} is no probe report: {field}: {first['msg']}{more}", "edgeslm probe BUNDLE -o FILE writes one"
        ) from None
