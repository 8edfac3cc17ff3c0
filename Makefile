.PHONY: help
help:
	@echo "make setup | demo | test | lint | bench"
