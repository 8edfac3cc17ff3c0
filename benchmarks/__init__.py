"""What sagadsl costs, measured against the same sagas written by hand."""
