"""The errors a user can cause; the command line prints them as one line and exits with 2."""


class TomolensError(Exception):
    """Base of every error that bad input can raise."""


class CaseError(TomolensError):
    """An image, a mask or a manifest that cannot be used; the message names the file or the case."""


class SettingsError(TomolensError, ValueError):
    """A study, recipe or argument that cannot be used; the message names the setting."""


class NetworkError(TomolensError):
    """A network whose output, structure or weights cannot be used."""


class MapError(TomolensError):
    """A map, mask or region map whose shape or values cannot be evaluated."""


def reason_of(error: BaseException) -> str:
    """Why something failed, in one line: what an error of ours says; of others their kind too, and not all of it."""
    return in_full(error) if isinstance(error, TomolensError) else shortened(in_full(error))


def in_full(error: BaseException) -> str:
    """`reason_of` at whatever length."""
    text = " ".join(str(error).split())
    if isinstance(error, TomolensError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def shortened(text: str, longest: int = 300) -> str:
    """The beginning and the end of a long text: some libraries begin with the reason, others end with it."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]} [...] {text[-half:]}"


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that a batch did not fit; torch has no error of its own for the host's memory."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error).lower() for words in ("out of memory", "can't allocate memory", "not enough memory")
    )
