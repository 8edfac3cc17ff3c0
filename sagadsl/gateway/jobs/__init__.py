"""One request to many sagas over HTTP: a job, which goes on whatever becomes of the gateway that took it.

A job is a Temporal workflow of its own, ``sagadsl.job``. Its history has who is meant, and what each saga has answered,
so a gateway keeps nothing of it. Every gateway is a worker for jobs: when one ends, another goes on with its jobs.
"""
