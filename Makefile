.PHONY: app demo check test nightly fix types diagnoses
app:
	python3 launch.py
demo:
	python3 launch.py demo
check: types
	.venv/bin/python -m pytest --tier unit -n 2 --dist loadfile -q
types:
	.venv/bin/python -m ruff check . && .venv/bin/python -m ruff format --check . && .venv/bin/python -m pyright
test:
	python3 launch.py test
nightly:
	python3 launch.py test --nightly
fix:
	.venv/bin/python -m ruff check --fix . && .venv/bin/python -m ruff format .
diagnoses:
	.venv/bin/python -m advisor.rules._page
