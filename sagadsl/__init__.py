"""Sagas for Temporal, written as YAML."""
