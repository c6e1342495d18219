"""What the sections of a study file share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1, le=1_000_000)]


class Section(BaseModel):
    """A table of a study file: what it does not know is a mistake, and it is never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
