.PHONY: setup train evaluate export benchmark-onnx publish clean all app demo serve check lint types unit test nightly fix diagnoses
app:
	python3 launch.py
demo:
	python3 launch.py demo
# what the newest run learned, for programs: make serve format=safetensors|onnx|gguf; with PLAN, what that plan made
format ?= safetensors
serve:
	.venv/bin/python -m loralab $(if $(PLAN),pipeline $(PLAN) serve,serve last --format $(format))
check:
	$(MAKE) -j 3 lint types unit
lint:
	.venv/bin/python -m ruff check -q . && .venv/bin/python -m ruff format -q --check .
types:
	.venv/bin/python -m pyright launch.py loralab advisor ui
unit:
	.venv/bin/python -m pytest --tier unit -n 2 --dist loadfile --no-loadscope-reorder -q
test:
	python3 launch.py test
nightly:
	python3 launch.py test --nightly
fix:
	.venv/bin/python -m ruff check --fix . && .venv/bin/python -m ruff format .
diagnoses:
	.venv/bin/python -m advisor.rules._page
# one file's whole way, step by step: make train PLAN=plan.yaml; `make all PLAN=…` goes to its end
setup train evaluate export benchmark-onnx publish clean:
	.venv/bin/python -m loralab pipeline $(PLAN) $@
all:
	.venv/bin/python -m loralab pipeline $(PLAN)
