"""A ferry whose tickets are sold by sagas: `sagadsl.once` with Django."""
