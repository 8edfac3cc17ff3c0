"""An inn whose rooms are booked by sagas: `sagadsl.once` with SQLAlchemy."""
