"""Deformable attention one query, head and point at a time: slow and obvious, to compare with."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from navsim_agents.models.deformable import GridSelfAttention, PictureCrossAttention


def read_bilinearly(plane: Tensor, x: float, y: float) -> Tensor:
    """Vector at (x, y) of the unit square over ``plane`` [h, w, d]; cells outside are zero."""
    height, width = plane.shape[:2]
    column, row = x * width - 0.5, y * height - 0.5
    total = torch.zeros_like(plane[0, 0])
    for i in (math.floor(row), math.floor(row) + 1):
        for j in (math.floor(column), math.floor(column) + 1):
            if 0 <= i < height and 0 <= j < width:
                total = total + (1 - abs(row - i)) * (1 - abs(column - j)) * plane[i, j]
    return total


def softmax(logits: Tensor) -> list[float]:
    powers = [math.exp(value) for value in logits.tolist()]
    return [power / sum(powers) for power in powers]


def slow_self_attention(
    layer: GridSelfAttention, queries: Tensor, code: Tensor, references: Tensor, grid: tuple[int, int]
) -> Tensor:
    """One scene: queries [Q, D], code [Q, D], references [Q, 2]."""
    rows, columns = grid
    width = queries.shape[1] // layer.num_heads
    values = layer.value_proj(queries).view(rows, columns, -1)
    answers = []
    for query in range(len(queries)):
        doubled = torch.cat((queries[query], queries[query] + code[query]))
        offsets = layer.sampling_offsets(doubled).view(layer.num_heads, 2, 4, 2)
        logits = layer.attention_weights(doubled).view(layer.num_heads, 2, 4)
        heads = []
        for head in range(layer.num_heads):
            plane = values[..., head * width : (head + 1) * width]
            entries = []
            for entry in range(2):
                answer = torch.zeros(width, dtype=queries.dtype)
                for point, weight in enumerate(softmax(logits[head, entry])):
                    dx, dy = offsets[head, entry, point].tolist()
                    x = references[query, 0].item() + dx / columns
                    y = references[query, 1].item() + dy / rows
                    answer = answer + weight * read_bilinearly(plane, x, y)
                entries.append(answer)
            heads.append((entries[0] + entries[1]) / 2)
        answers.append(layer.output_proj(torch.cat(heads)))
    return torch.stack(answers)


def slow_cross_attention(
    layer: PictureCrossAttention, queries: Tensor, features: Tensor, references: Tensor, is_visible: Tensor
) -> Tensor:
    """One scene: queries [Q, D], features [C, h, w, D], references [C, Q, P, 2], is_visible [C, Q]."""
    num_cameras, height, width = features.shape[:3]
    channels = queries.shape[1] // layer.num_heads
    num_points = references.shape[2]
    answers = []
    for query in range(len(queries)):
        offsets = layer.sampling_offsets(queries[query]).view(layer.num_heads, num_points, 2)
        logits = layer.attention_weights(queries[query]).view(layer.num_heads, num_points)
        seen_by = [camera for camera in range(num_cameras) if is_visible[camera, query]]
        total = torch.zeros(queries.shape[1], dtype=queries.dtype)
        for camera in seen_by:
            values = layer.value_proj(features[camera])
            for head in range(layer.num_heads):
                part = slice(head * channels, (head + 1) * channels)
                for point, weight in enumerate(softmax(logits[head])):
                    x = references[camera, query, point, 0].item() + offsets[head, point, 0].item() / width
                    y = references[camera, query, point, 1].item() + offsets[head, point, 1].item() / height
                    total[part] += weight * read_bilinearly(values[..., part], x, y)
        answers.append(layer.output_proj(total / max(1, len(seen_by))))
    if layer.skip_when_invisible and not is_visible.any():
        return torch.zeros_like(queries)
    return torch.stack(answers)
