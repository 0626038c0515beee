"""Run folders with everything a report can show, made up."""

import json
from dataclasses import replace
from pathlib import Path

from nmt.config import Config, DataConfig, ModelConfig, dump_config
from nmt.diagnosis.records import (
    Diagnosis,
    FrequencyLoss,
    GateStatistics,
    GradientFlow,
    GradientSum,
    PositionLoss,
    Probe,
    Sample,
    ScoredText,
    StateFlow,
    StateMap,
    StatePoint,
    StateProbes,
    Verdict,
    write_record,
)
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import corpus_scores
from nmt.evaluation.translations import Translations, write_translations

HTML = '<script>alert("1")</script> & </svg>'
SOURCES = [f"Satz {'sehr ' * (row % 7)}Nummer {row}" for row in range(24)]
REFERENCES = [f"sentence {'very ' * (row % 7)}number {row} here" for row in range(24)]
CONFIG = Config(
    data=DataConfig(source_language="de", target_language="en"),
    model=ModelConfig(cell="gru", layers=1),
)
METRICS = """update,epoch,train_loss,learning_rate,gradient_norm,tokens_per_second,\
validation_loss,validation_perplexity,validation_bleu,validation_chrf
10,1,5.5,0.001,0.75,1000,,,,
20,1,4.5,0.002,1.25,3000,,,,
20,,,,,,4.25,70.1,12.5,30.25
30,2,3.875,0.001,0.5,2000,,,,
30,,,,,,4.0,54.6,11.5,31.0
"""


def make_run(folder: Path, hypotheses: list[str], config: Config = CONFIG) -> Path:
    """Make the folder of a run that was trained, and scored on `test`."""
    (folder / "model").mkdir(parents=True)
    (folder / "config.yaml").write_text(dump_config(config))
    data = {
        "fingerprint": "f" * 64,
        "pairs": 4321,
        "kept": 4300,
        "source_tokens": 56789,
        "target_tokens": 54321,
        "found": {"empty": 21, "duplicates": 7, "too_long": 0},
        "left_out": {"empty": 21, "too_long": 0},
        "train": "a" * 64,
        "validation": "b" * 64,
        "weights": [],
        "distill": None,
    }
    machine = {"system": "Linux", "processors": 2, "threads": 1, "gpu": None}
    environment = {"seed": 17, "data": data, "versions": {"torch": "2.9"}, "machine": machine}
    (folder / "environment.json").write_text(json.dumps(environment))
    (folder / "metrics.csv").write_text(METRICS)
    best = {"update": 20, "validation": dict(loss=4.25, perplexity=70.1, bleu=12.5, chrf=30.25)}
    (folder / "model" / "metrics.json").write_text(json.dumps(best))
    bundle = {"files": {"weights.safetensors": "c" * 64}}
    (folder / "model" / "bundle.json").write_text(json.dumps(bundle))
    scores = corpus_scores(hypotheses, [REFERENCES], TargetLanguage("en"))
    (folder / "scores.test.json").write_text(json.dumps(scores.to_json()))
    write_translations(
        folder / "translations.test.jsonl", Translations(SOURCES, REFERENCES, hypotheses)
    )
    return folder


def good_hypotheses() -> list[str]:
    """Almost the references; one holds HTML."""
    return [*REFERENCES[:-2], REFERENCES[-2].replace("here", "there"), HTML]


def poor_hypotheses() -> list[str]:
    """Every word but the first two is wrong; one is empty."""
    return ["", *(" ".join([*text.split()[:2], "dog", "dog", "dog"]) for text in REFERENCES[1:])]


def flow(cell: str = "lstm", moment: str = "trained", kept: float = 0.5) -> GradientFlow:
    """A gradient that falls by a factor from step to step."""
    steps = range(6)
    decoder: list[list[float | None]] = [
        [kept ** (t - k) if k <= t else None for k in steps] for t in steps
    ]
    encoder: list[list[float | None]] = [[kept ** (t + k) for k in steps] for t in steps]
    norms: list[float | None] = [kept**distance for distance in steps]
    return GradientFlow(
        cell=cell,
        moment=moment,
        sentences=12,
        states=[
            StateFlow("encoder", 1, "hidden", encoder, norms, kept),
            StateFlow("decoder", 1, "hidden", decoder, [*norms, None, 0.0], kept),
            StateFlow("decoder", 1, "cell", decoder, norms, kept),
        ],
        reach=0.0002,
        gates=[
            GateStatistics("decoder", 1, "forget", 0.875, 0.01, 0.5, [1.5, 2.5, 3.5, 4.5, 55.5]),
            GateStatistics("decoder", 1, "input", 0.25, 0.3, 0.0, None),
        ],
        sums=[GradientSum("decoder.weight_hh_l0", [0.5, 0.25, 0.0], 1.5e-7)],
        verdicts=[Verdict("bad", f"gradient halves every 1.0 steps {HTML}")],
    )


def diagnosis() -> Diagnosis:
    """Everything that diagnosis finds, for the weights of `make_run`."""
    weights = [[0.75, 0.25], [0.125, 0.875]]
    candidates = [ScoredText("a <b>", -1.25), ScoredText("a $c$", -2.5)]
    sample = Sample(
        f"ein {HTML}", "a b", candidates, ["▁ein", "$x$ <y>"], ["▁a\n", "</s>"], weights
    )
    return Diagnosis(
        split="validation",
        weights="c" * 64,
        flows=[flow()],
        losses=[PositionLoss(place, 2 + place / 4, 100 // place) for place in range(1, 31)],
        frequencies=[FrequencyLoss(0, 0, 7.5, 3), FrequencyLoss(1024, 2047, 1.25, 40)],
        probes=StateProbes(
            sentences=12,
            probes=[
                Probe("intact", 2.5, 30.5),
                Probe("zeroed", 4.0, 0.25),
                Probe("shuffled", 3.25, 5.5),
            ],
            verdicts=[Verdict("good", "the decoder listens")],
        ),
        states=StateMap([StatePoint(HTML, 1.5, -2.25), StatePoint("zwei", -1, 1)], [0.625, 0.25]),
        samples=[sample, replace(sample, alignment=None)],
    )


def make_diagnosed_run(folder: Path) -> Path:
    """The same with a diagnosis."""
    make_run(folder, good_hypotheses())
    write_record(folder / "diagnosis.json", diagnosis())
    return folder
