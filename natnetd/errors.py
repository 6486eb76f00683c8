"""Whose fault it is: the author of the file, or the host."""

from dataclasses import dataclass


class NatnetdError(Exception):
    """What natnetd raises on purpose; its text is one or more lines for people."""


@dataclass(frozen=True, slots=True, order=True)
class Complaint:
    """One thing wrong with a configuration file: where, which key, and what would be right."""

    file: str
    line: int
    column: int
    key: str
    text: str

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}:{self.column}: {key}{self.text}"


class ConfigError(NatnetdError):
    """Only the author of the file can mend this; `complaints` holds every one found."""

    def __init__(self, complaints: tuple[Complaint, ...]) -> None:
        super().__init__("\n".join(map(str, complaints)))
        self.complaints = complaints


class HostError(NatnetdError):
    """The host refuses or lacks something; the next pass tries again.

    `overtaken` says that what it was about went away meanwhile: the event that tells so is on its way,
    and this is no failure to back off from.
    """

    def __init__(self, text: str, *, overtaken: bool = False) -> None:
        super().__init__(text)
        self.overtaken = overtaken
