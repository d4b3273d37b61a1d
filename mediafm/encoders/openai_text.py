"""openai-text: text-embedding-3-large, or any model of any endpoint that speaks OpenAI's embeddings API.

Each text is sent as it is and bought once: equal texts of a stream, of other titles and of earlier runs come from the
host's cache. A text beyond the limit is cut, and its vector is the mean of its parts'. The spec names the endpoint's
host (unless it is OpenAI's own), because another host may give other vectors under the same model's name; price,
budget, key and pace stand in no spec. A provider may change a model under its name, which nobody can see from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from hashlib import sha256
from random import Random
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mediafm.config import Count, Positive, Section
from mediafm.encoders.encoder import Encoded, Encoder, EncoderSpec, Key
from mediafm.encoders.host import EncoderHost
from mediafm.encoders.openai_batches import Batches, KnownVectors, Wanted
from mediafm.encoders.openai_buyer import Buyer
from mediafm.encoders.openai_endpoint import Endpoint, endpoint_name
from mediafm.encoders.openai_key import read_key
from mediafm.encoders.openai_patience import Patience, health_of
from mediafm.encoders.openai_stream import ITEMS_PER_LOOK_UP, TextStream, blocks
from mediafm.encoders.pricing import Estimate
from mediafm.encoders.tokens import TokenCounter, TokenizerChoice, Utf8Bytes, find_counter, sendable
from mediafm.errors import ConfigError
from mediafm.lineage.fingerprint import fingerprint, short
from mediafm.types import Json, Modality

STEP_VERSION = 1
WHERE = "encoder openai-text"

Width = Annotated[int, Field(ge=1, le=65_536)]


class OpenAITextSettings(Section):
    """Which model of which endpoint, within which limits, for how much.

    model: as the endpoint names it.
    dimensions: numbers per vector, asked of the endpoint; None for one that does not know the parameter.
    width: numbers per vector that such an endpoint gives; else it is `dimensions`.
    base_url: None for OpenAI's own. The environment's OPENAI_BASE_URL is not obeyed but refused.
    endpoint_name: stands in the spec instead of the address, for an endpoint that may move; the user's word.
    api_key_env: the NAME of the environment variable that holds the key; "" for an endpoint without keys.
    encoding_format: how vectors travel; the numbers are the same. "float" for an endpoint that refuses "base64".
    tokenizer: counts tokens for limits and costs: "auto" is tiktoken if its vocabulary lies on this machine, else
        bytes. Texts beyond the limit are cut by bytes, alike on every machine, unless it says "tiktoken".
    max_inputs: texts of one request.
    max_input_tokens: of one text. 8192 are allowed; one is left for an endpoint that adds a mark of its own.
    max_request_tokens: of all texts of one request.
    concurrency: requests under way at once.
    timeout_seconds: of each phase of a request.
    max_attempts: of one request, in all.
    first_wait_seconds: after a first failure; doubled after each further one.
    max_wait_seconds: of one wait, also where the endpoint asks for more.
    usd_per_million_tokens: the price; None if it is not known.
    budget_usd: bound on what is spent for a root in all; needs the price. None is none.
    """

    model: Annotated[str, Field(min_length=1, max_length=200)] = "text-embedding-3-large"
    dimensions: Width | None = 768
    width: Width | None = None
    base_url: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    endpoint_name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    api_key_env: Annotated[str, Field(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")] = "OPENAI_API_KEY"
    encoding_format: Literal["base64", "float"] = "base64"
    tokenizer: TokenizerChoice = "auto"
    max_inputs: Count = 2048
    max_input_tokens: Annotated[int, Field(ge=16)] = 8191
    max_request_tokens: Annotated[int, Field(ge=16)] = 300_000
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    timeout_seconds: Positive = 60.0
    max_attempts: Count = 6
    first_wait_seconds: Positive = 1.0
    max_wait_seconds: Positive = 60.0
    usd_per_million_tokens: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    budget_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class OpenAIText(Encoder[str]):
    """`dimensions` (or `width`) numbers a text; a blank text is not sent and gives zeros.

    Raises:
        ConfigError: settings that contradict each other.
    """

    def __init__(self, settings: OpenAITextSettings | None = None, host: EncoderHost | None = None) -> None:
        self.settings = settings or OpenAITextSettings()
        self._host = host or EncoderHost()
        width = _width(self.settings)
        _check_limits(self.settings)
        address = endpoint_name(self.settings.base_url)
        self._space: dict[str, Json] = {
            "endpoint": self.settings.endpoint_name or address,
            "model": self.settings.model,
            "dimensions": self.settings.dimensions,
        }
        self.spec = EncoderSpec(
            name="openai-text",
            modality=Modality.TEXT,
            width=width,
            step_version=STEP_VERSION,
            licence="LicenseRef-provider-terms",
            settings={**self._space, "split_by": self._split_by, "split_at": self.settings.max_input_tokens},
        )
        self._key_prefix = f"openai-text/{short(fingerprint(self._space))}/"
        self._known = KnownVectors(self._host.cache, width)
        self._closing: list[Endpoint] = []

    @property
    def counting(self) -> str:
        """What tokens are counted by: "tiktoken cl100k_base" or "utf-8 bytes (upper bound)"."""
        return self._counter.counting

    def estimate(self, texts: Iterable[str]) -> Estimate:
        """What `texts` would cost; nothing is sent."""
        num_texts = num_cached = num_tokens = 0
        seen: set[str] = set()
        for block in blocks(texts, ITEMS_PER_LOOK_UP):
            pieces = [piece for text in block for piece in self._pieces(text)]
            new = {piece.key: piece.num_tokens for piece in pieces if piece.key not in seen}
            known = self._known.get(list(new))
            num_texts += len(block)
            num_cached += len(known)
            num_tokens += sum(count for key, count in new.items() if key not in known)
            seen |= new.keys()
        price = self.settings.usd_per_million_tokens
        return Estimate(
            num_texts=num_texts,
            num_unique=len(seen),
            num_cached=num_cached,
            num_tokens=num_tokens,
            cost_usd=None if price is None else num_tokens * price / 1e6,
            counting=self.counting,
        )

    def encode_stream(self, items: Iterable[tuple[Key, str]]) -> Iterator[Encoded[Key]]:
        """As `Encoder.encode_stream`; each vector tells what it cost. Whatever was bought before an error comes first.

        Raises:
            ConfigError: no key, or no client.
            EncoderError: the endpoint refuses for good, breaks its promises, or the budget is reached.
            TransientError: it does not answer, after all attempts.
        """
        stream = TextStream[Key](
            pieces=self._pieces,
            known=self._known,
            buyer=lambda: self._buyer,
            batches=Batches(self.settings.max_inputs, self.settings.max_request_tokens),
            concurrency=self.settings.concurrency,
            max_waiting=2 * self.settings.concurrency * self.settings.max_inputs,
            width=self.spec.width,
        )
        return stream.run(items)

    def close(self) -> None:
        """Closes the connections."""
        while self._closing:
            self._closing.pop().close()

    def _encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.empty((len(batch), self.spec.width), np.float32)
        for encoded in self.encode_stream(enumerate(batch)):
            vectors[encoded.key] = encoded.vector
        return vectors

    def _pieces(self, text: str) -> list[Wanted]:
        """A text's pieces as they are sent; none of a blank one."""
        sent = sendable(text)
        if not sent.strip():
            return []
        pieces = self._splitter.split(sent, self.settings.max_input_tokens)
        return [self._wanted(piece) for piece in pieces if piece.strip()]

    def _wanted(self, piece: str) -> Wanted:
        key = self._key_prefix + sha256(piece.encode()).hexdigest()
        return Wanted(key, piece, num_tokens=self._counter.count(piece), weight=self._splitter.count(piece))

    @property
    def _split_by(self) -> str:
        return "tiktoken tokens" if self.settings.tokenizer == "tiktoken" else "utf-8 bytes"

    @cached_property
    def _counter(self) -> TokenCounter:
        return find_counter(self.settings.model, self.settings.tokenizer)

    @cached_property
    def _splitter(self) -> TokenCounter:
        """A vocabulary that happens to lie here moves no vector: only one that the settings ask for splits by it."""
        return self._counter if self.settings.tokenizer == "tiktoken" else Utf8Bytes()

    @cached_property
    def _buyer(self) -> Buyer:
        settings = self.settings
        endpoint = Endpoint(
            base_url=settings.base_url,
            key=read_key(settings.api_key_env),
            model=settings.model,
            width=self.spec.width,
            dimensions=settings.dimensions,
            timeout_seconds=settings.timeout_seconds,
            encoding_format=settings.encoding_format,
        )
        self._closing.append(endpoint)
        patience = Patience(
            place=endpoint.place,
            health=health_of(endpoint.identity),
            max_attempts=settings.max_attempts,
            first_wait_seconds=settings.first_wait_seconds,
            max_wait_seconds=settings.max_wait_seconds,
            random=Random(),
        )
        return Buyer(
            endpoint=endpoint,
            patience=patience,
            known=self._known,
            purse=self._host.purse,
            usd_per_million_tokens=settings.usd_per_million_tokens,
            budget_usd=settings.budget_usd,
        )


def _width(settings: OpenAITextSettings) -> int:
    width = settings.dimensions or settings.width
    if width is None:
        raise ConfigError(
            "neither `dimensions` nor `width`",
            rule="an endpoint that is not told `dimensions` gives vectors of a `width` of its own",
            where=WHERE,
            remedy="Set `width` to the model's.",
        )
    if settings.width not in (None, width):
        raise ConfigError(
            f"dimensions {settings.dimensions} and width {settings.width}",
            rule="both are numbers per vector",
            where=WHERE,
            remedy="Leave `width` out.",
        )
    return width


def _check_limits(settings: OpenAITextSettings) -> None:
    if settings.max_input_tokens > settings.max_request_tokens:
        raise ConfigError(
            f"max_input_tokens {settings.max_input_tokens} and max_request_tokens {settings.max_request_tokens}",
            rule="a request has room for one text",
            where=WHERE,
            remedy="Lower `max_input_tokens`.",
        )
    if settings.budget_usd is not None and settings.usd_per_million_tokens is None:
        raise ConfigError(
            f"a budget of ${settings.budget_usd:g} and no price",
            rule="a budget in dollars needs a price",
            where=WHERE,
            remedy="Set `usd_per_million_tokens` to the provider's price.",
        )
