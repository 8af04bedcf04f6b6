.PHONY: app demo test fix diagnoses
app:
	python3 launch.py
demo:
	python3 launch.py demo
test:
	python3 launch.py test
fix:
	.venv/bin/python -m ruff check --fix . && .venv/bin/python -m ruff format .
diagnoses:
	.venv/bin/python -m advisor.rules._page
