"""Owns what is asked and answered over HTTP, as types: OpenAI's shapes, and those of the routes of our own. `/docs` is made from them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

MOST_TEXT = 1 << 20  # characters of one message


class Asked(BaseModel):
    """What comes in: unknown fields are ignored, as OpenAI's clients expect."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Told(BaseModel):
    """What goes out."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TextPart(Asked):
    """A part of a message; only text is read."""

    type: Literal["text"]
    text: str = Field(max_length=MOST_TEXT)


class Turn(Asked):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | tuple[TextPart, ...] = Field(max_length=MOST_TEXT)

    @property
    def words(self) -> str:
        """The message as one text."""
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class StreamOptions(Asked):
    """What a stream tells besides."""

    include_usage: bool = False


class _Sampled(Asked):
    """What both kinds of answers take."""

    model: str = Field("", max_length=200, description="A deployment's id or name, or a base model's name. Empty: that of the link.")
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=0, lt=1 << 63)
    stop: str | tuple[str, ...] | None = None
    max_tokens: int | None = Field(None, ge=1, description="At most 1,024; more is cut to that.")
    n: int | None = Field(None, ge=1, le=1, description="One answer at a time.")
    tools: tuple[Any, ...] | None = Field(None, description="Refused in words: these models answer with text.")
    functions: tuple[Any, ...] | None = Field(None, description="As tools.")
    logprobs: bool | int | None = Field(None, description="Refused in words.")

    @field_validator("stop")
    @classmethod
    def _few(cls, stop: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if isinstance(stop, tuple) and (len(stop) > 4 or any(len(one) > 200 for one in stop)):
            raise ValueError("at most four stop texts of 200 characters")
        return stop

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else self.stop or ()


class ChatAsked(_Sampled):
    """A conversation to answer."""

    messages: tuple[Turn, ...] = Field(min_length=1, max_length=1000)
    max_completion_tokens: int | None = Field(None, ge=1)
    response_format: dict[str, Any] | None = Field(None, description="Only text.")


class TextAsked(_Sampled):
    """A text to go on from."""

    prompt: str | tuple[str, ...] = Field(min_length=1, max_length=MOST_TEXT)
    echo: bool = False


class Usage(Told):
    """Tokens that were read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Said(Told):
    """The model's message."""

    role: Literal["assistant"] = "assistant"
    content: str


class ChatChoice(Told):
    """One answer."""

    index: int = 0
    message: Said
    finish_reason: Literal["stop", "length"]
    logprobs: None = None


class ChatTold(Told):
    """An answer to a conversation. `deployment` and `adapter` say what answered; they are ours."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: tuple[ChatChoice, ...]
    usage: Usage
    adapter: bool = Field(description="Whether an adapter took part, read off the layers that computed it.")


class TextChoice(Told):
    """One text."""

    index: int = 0
    text: str
    finish_reason: Literal["stop", "length"]
    logprobs: None = None


class TextTold(Told):
    """What follows a text."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: tuple[TextChoice, ...]
    usage: Usage
    adapter: bool


class ModelTold(Told):
    """A deployment, or a bare base."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["local"] = "local"
    title: str = ""
    answers: str = "chat"
    base: str = ""
    deployment: str = Field(default="", description="The immutable id; empty for a bare base.")
    versions: dict[str, str] = Field(default_factory=dict)
    usable: str = Field(default="", description="The verdict: yes, partly, no, you_decide; empty where it was not judged.")
    labels: tuple[str, ...] = ()


class ModelsTold(Told):
    """What may be asked with this key."""

    object: Literal["list"] = "list"
    data: tuple[ModelTold, ...]


class LookAsked(Asked):
    """A picture: as a file in a form (field `image`), or in base64, also as a data: address."""

    model: str = Field("", max_length=200)
    image: str = Field(description="Base64, or data:image/...;base64,...")


class Chance(Told):
    """A class and how likely it is."""

    label: str
    probability: float


class ClassifyTold(Told):
    """What a picture shows. `label` is empty where the model had better say that it does not know."""

    model: str
    deployment: str
    label: str
    unsure: bool
    chances: tuple[Chance, ...]
    medical: bool = False


class Box(Told):
    """A thing: [left, top, right, bottom] in the picture's own pixels."""

    label: str
    box: tuple[float, float, float, float]
    score: float


class DetectTold(Told):
    """Things that were found."""

    model: str
    deployment: str
    width: int
    height: int
    boxes: tuple[Box, ...]
    medical: bool = False


class Area(Told):
    """A class and its share of the picture."""

    label: str
    share: float


class SegmentTold(Told):
    """A mask of the picture's form, no larger than 1,280 pixels: 0 is the background, i the i-th label."""

    model: str
    deployment: str
    width: int
    height: int
    mask: str = Field(description="PNG in base64, one byte a pixel.")
    labels: tuple[str, ...]
    areas: tuple[Area, ...]
    medical: bool = False


class UploadTold(Told):
    """How far an upload is."""

    upload_id: str
    received: int
    total: int | None
    complete: bool


class StartAsked(Asked):
    """What is to be learned, from what."""

    upload_id: str = Field(max_length=100)
    model: str = Field("", max_length=300, description="A name of the catalogue, or empty for the usual one.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Settings to fix; the others are proposed.")
    title: str = Field("", max_length=80)


class StartTold(Told):
    """A run that was begun, or that waits for its turn."""

    job_id: str
    state: str


class ProgressTold(Told):
    """Where a run is."""

    job_id: str
    state: str
    phase: str
    step: int
    total_steps: int
    fraction: float | None
    seconds_left: float | None
    loss: float | None
    heldout_loss: float | None
    problem: str
    learned: str
    usable: str


class ShareAsked(Asked):
    """A finished run to be frozen."""

    job_id: str = Field(max_length=200)
    name: str = Field("", max_length=48)


class ShareTold(Told):
    """What it is called from now on."""

    deployment_id: str
    model: str
    answers: str


class FileTold(Told):
    """A file of examples."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str = "fine-tune"
    status: Literal["processed"] = "processed"


class FilesTold(Told):
    """All of them."""

    object: Literal["list"] = "list"
    data: tuple[FileTold, ...]


class Gone(Told):
    """A file that was deleted."""

    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


class Hyperparameters(Asked):
    """OpenAI's few settings; `auto` leaves a choice to us."""

    n_epochs: float | Literal["auto"] = "auto"
    batch_size: int | Literal["auto"] = "auto"
    learning_rate_multiplier: float | Literal["auto"] = "auto"


class TuneAsked(Asked):
    """A fine-tuning job in OpenAI's shape."""

    model: str = Field("", max_length=300)
    training_file: str = Field(max_length=100)
    hyperparameters: Hyperparameters = Hyperparameters()
    suffix: str | None = Field(None, max_length=64)
    seed: int | None = Field(None, ge=0)


class TuneTold(Told):
    """A run in the shape of OpenAI's fine-tuning job."""

    id: str
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    created_at: int
    finished_at: int | None
    model: str
    fine_tuned_model: str | None
    organization_id: str = "local"
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    trained_tokens: int | None = None
    training_file: str
    validation_file: None = None
    result_files: tuple[str, ...] = ()
    seed: int
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    error: dict[str, Any] | None = None


class TunesTold(Told):
    """All of them, newest first."""

    object: Literal["list"] = "list"
    data: tuple[TuneTold, ...]
    has_more: bool = False


class Problem(Told):
    """OpenAI's shape of an error."""

    message: str
    type: str
    param: str | None = None
    code: str


class Refused(Told):
    """An error."""

    error: Problem


class HealthTold(Told):
    """The server is there."""

    status: Literal["ok"] = "ok"
    service: Literal["loralab"] = "loralab"
