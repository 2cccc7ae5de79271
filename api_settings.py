"""What the sidecar can be told: every setting of `api`, with its default and its limits.

It stands beside the packages because the night, which starts the sidecar, checks and shows these settings too.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from settings import ProjectPath, Settings, Token


class ApiSettings(Settings):
    """The settings of the model server. `.env.example` documents each."""

    model_dir: ProjectPath = Field(Path("model/releases"), validate_default=True)
    api_host: str = "127.0.0.1"
    api_port: int = Field(5000, ge=1, le=65535)
    api_token: Token | None = None
    max_image_mb: float = Field(50, gt=0, le=1024)
    max_image_megapixels: float = Field(120, gt=0, le=1000)
    max_photo_memory_mb: float = Field(1000, ge=10, le=100_000)
    review_precision: float = Field(0.97, ge=0.8, le=0.995)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    log_format: Literal["text", "json"] = "text"
