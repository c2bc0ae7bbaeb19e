"""How texts are made shorter: the setting `compression` as a value, read once per snapshot.

Source: 02 §11.1, 03 §7, 05 §7.1.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from omniroute.routing.combo_config import CompressionMode

CavemanIntensity: TypeAlias = Literal["lite", "full", "ultra"]
RtkIntensity: TypeAlias = Literal["minimal", "standard", "aggressive"]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Distance = Annotated[int, Meta(ge=1, le=100)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]

DEFAULT_COMBO = "default-caveman"
"""The compression combo there always is."""

INTENSITIES = {
    "lite": ("lite",),
    "caveman": ("lite", "full", "ultra"),
    "aggressive": ("standard",),
    "ultra": ("ultra",),
    "rtk": ("minimal", "standard", "aggressive"),
}
"""What strengths each engine has, the first the one that goes without saying."""


class Accessibility(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How long texts of MCP tools' results are shortened. Counts of characters and of lines."""

    enabled: bool = True
    max_text_chars: Annotated[int, Meta(ge=1_000, le=10_000_000)] = 50_000
    collapse_threshold: Annotated[int, Meta(ge=2, le=100_000)] = 30
    collapse_keep_head: Annotated[int, Meta(ge=0, le=100_000)] = 10
    collapse_keep_tail: Annotated[int, Meta(ge=0, le=100_000)] = 5
    min_length_to_process: Annotated[int, Meta(ge=0, le=10_000_000)] = 2_000


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One engine of a pipeline, at a strength that it has."""

    engine: Literal["lite", "caveman", "aggressive", "ultra", "rtk"]
    intensity: str | None = None

    def __post_init__(self) -> None:
        known = INTENSITIES[self.engine]
        if self.intensity is not None and self.intensity not in known:
            told = ", ".join(f"'{one}'" for one in known)
            raise ValueError(f"the intensity of {self.engine} must be one of: {told}")


PIPELINE = (Step(engine="rtk", intensity="standard"), Step(engine="caveman", intensity="full"))


class Caveman(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which texts are condensed: of whom, from what length (characters) on, by which rules."""

    enabled: bool = False
    compress_roles: tuple[Literal["user", "assistant", "system"], ...] = ("user",)
    skip_rules: tuple[Name, ...] = ()
    min_message_length: Count = 50
    preserve_patterns: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    intensity: CavemanIntensity = "lite"


class OutputMode(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Whether models are asked to answer concisely, and how much so."""

    enabled: bool = False
    intensity: CavemanIntensity = "lite"
    auto_clarity: bool = True


class Rtk(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How outputs of commands are condensed."""

    enabled: bool = False
    intensity: RtkIntensity = "minimal"
    apply_to_tool_results: bool = True
    apply_to_code_blocks: bool = False
    apply_to_assistant_messages: bool = False
    enabled_filters: tuple[Name, ...] = ()
    disabled_filters: tuple[Name, ...] = ()
    max_lines_per_result: Annotated[int, Meta(ge=0, le=100_000)] = 120
    max_chars_per_result: Annotated[int, Meta(ge=0, le=1_000_000)] = 12_000
    deduplicate_threshold: Annotated[int, Meta(ge=2, le=100)] = 3
    custom_filters_enabled: bool = True
    trust_project_filters: bool = False
    raw_output_retention: Literal["never", "failures", "always"] = "never"
    raw_output_max_bytes: Annotated[int, Meta(ge=1_024, le=10_000_000)] = 1_048_576


class Languages(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Whose rules condense a text."""

    enabled: bool = False
    default_language: Name = "en"
    auto_detect: bool = True
    enabled_packs: tuple[Name, ...] = ("en",)


class AgeThresholds(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How far from the end of a conversation a message is made shorter, and how much."""

    full_summary: Distance = 5
    moderate: Distance = 3
    light: Distance = 2
    verbatim: Distance = 2


class ToolStrategies(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which kinds of tool results are cut down."""

    file_content: bool = True
    grep_search: bool = True
    shell_output: bool = True
    json: bool = True
    error_message: bool = True


class Aggressive(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How old messages and tool results are cut down."""

    thresholds: AgeThresholds = AgeThresholds()
    tool_strategies: ToolStrategies = ToolStrategies()
    summarizer_enabled: bool = True
    max_tokens_per_message: Annotated[int, Meta(ge=256, le=32_768)] = 2_048
    min_savings_threshold: Share = 0.05


class Ultra(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How words are left out."""

    enabled: bool = False
    compression_rate: Share = 0.5
    min_score_threshold: Share = 0.3
    slm_fallback_to_aggressive: bool = True
    max_tokens_per_message: Annotated[int, Meta(ge=0, le=32_768)] = 0


class Compression(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """All of it. `target_ratio` is what should be left, 0 to 1; tokens are estimates."""

    enabled: bool = False
    default_mode: CompressionMode = "off"
    auto_trigger_mode: CompressionMode = "lite"
    auto_trigger_tokens: Count = 0
    target_ratio: Share = 0.7
    cache_minutes: Annotated[int, Meta(ge=1, le=60)] = 5
    preserve_system_prompt: bool = True
    mcp_description_compression_enabled: bool = True
    mcp_accessibility: Accessibility = Accessibility()
    combo_overrides: dict[Name, CompressionMode] = {}
    compression_combo_id: Name | None = None
    stacked_pipeline: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=10)] = PIPELINE
    caveman_config: Caveman = Caveman()
    caveman_output_mode: OutputMode = OutputMode()
    rtk_config: Rtk = Rtk()
    language_config: Languages = Languages()
    aggressive: Aggressive = Aggressive()
    ultra: Ultra = Ultra()
