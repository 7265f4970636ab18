"""The report's curves: pretraining of the video encoder, and every training of a planner."""

from __future__ import annotations

from collections.abc import Iterator

from training.report import html
from training.report.charts import pretraining_curve, training_curve
from training.report.results import Results, TrainingRecord
from training.report.style import agent_style, as_data_url


def pretraining(results: Results) -> Iterator[str]:
    """Loss and health of the encoder's own training; nothing where there was none."""
    if results.pretraining is None:
        return
    history = results.pretraining
    losses, ranks = history["loss"], history["effective_rank"].dropna()
    yield html.heading("Pretraining of the video encoder (V-JEPA)")
    yield html.paragraph(
        f"{len(history)} steps without labels: the encoder sees a part of a clip, and a predictor foretells the "
        f"features of the hidden part. The loss went from {losses.iloc[0]:.3f} to {losses.iloc[-1]:.3f}, the effective "
        f"rank of the target features from {ranks.iloc[0]:.1f} to {ranks.iloc[-1]:.1f}."
    )
    yield html.captioned(
        html.image(as_data_url(pretraining_curve(history)), "pretraining curve"),
        "Look for a loss that falls while the effective rank stays up: features that all become alike are easy to "
        "foretell and worth nothing.",
    )


def trainings(results: Results) -> Iterator[str]:
    """One curve a training; nothing where there was none."""
    if not results.trainings:
        return
    yield html.heading("Training")
    for name, record in results.trainings.items():
        yield from _training(name, record)
    yield html.paragraph(
        "Look for a validation loss that follows the training loss down; where it turns up, the agent learns its "
        "training drives by heart. Validation drives are other drives than those of the table above."
    )


def _training(name: str, record: TrainingRecord) -> Iterator[str]:
    result, history = record.result, record.history
    is_scored = "val_score" in history
    best = history.loc[history["val_score"].idxmax() if is_scored else history["val_loss"].idxmin()]
    style = agent_style(name)
    yield html.captioned(
        html.image(as_data_url(training_curve(history, style)), f"training curve of {style.label}"),
        f"{style.label}: {result['num_parameters'] / 1e6:.2f} million parameters, {result['num_scenes']['train']} "
        f"scenes of {len(result['logs']['train'])} drives to learn from and {result['num_scenes']['val']} of "
        f"{len(result['logs']['val'])} others to validate; {result['epochs']} epochs, {result['steps']} steps, "
        f"{history['seconds'].sum():.0f} s. The weights are those of epoch {int(best['epoch']) + 1}, best by "
        f"{'the score of the proposal that would be driven' if is_scored else 'validation loss'}.",
    )
