"""Which known name did the author mean? The same answers for every part of the tool."""

from sagadsl.language.suggest import closest, did_you_mean, listed

__all__ = ["closest", "did_you_mean", "listed"]
