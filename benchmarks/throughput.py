"""Training throughput: tokens a second of the same GPT-2-shaped model, same batch, same AdamW, same threads.

    python benchmarks/throughput.py [--litgpt-python PATH] [--threads 1] [--quick]

Ours against Transformers' `GPT2LMHeadModel` and LitGPT's `GPT` (which wants an environment of its own: give its interpreter).
A step is forward, loss, backward, clipping at 1.0 and fused AdamW, in fp32, without dropout. Each library runs in its own
process; the three take turns, round after round, and each figure is the median step of its best round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

# layers, width, heads, context, sequences, vocabulary (as large as suits each size)
SHAPES = {
    "4x128": (4, 128, 4, 128, 16, 512),
    "6x384": (6, 384, 6, 256, 8, 4096),
    "12x768": (12, 768, 12, 512, 2, 50257),
}


def step_seconds(library: str, shape: str, steps: int) -> float:
    import torch

    depth, width, heads, context, batch, vocabulary = SHAPES[shape]
    torch.manual_seed(0)
    ids = torch.randint(vocabulary, (batch, context + 1))
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    if library == "daedal":
        from daedal.models.gpt import GPT, GPTConfig
        from daedal.training.machine import keep_freed_memory

        keep_freed_memory()  # as the trainer does
        from daedal.models.model import Moment, TokenBatch

        config = GPTConfig.of(
            "gpt2", vocab_size=vocabulary, width=width, depth=depth, heads=heads, context=context, tied=True
        )
        model = GPT(config)
        batch_ = TokenBatch(inputs, targets, Moment(targets.numel()))

        def loss():
            return model.loss(batch_).total
    elif library == "transformers":
        from transformers import GPT2Config, GPT2LMHeadModel

        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocabulary, n_positions=context, n_embd=width, n_layer=depth, n_head=heads, use_cache=False,
                resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
            )
        )  # fmt: skip

        def loss():
            return model(input_ids=ids[:, :-1], labels=inputs).loss
    else:
        import litgpt
        from litgpt.utils import chunked_cross_entropy

        model = litgpt.GPT(
            litgpt.Config(
                name="gpt2-shaped", block_size=context, padded_vocab_size=vocabulary, n_layer=depth, n_head=heads, n_embd=width,
                rotary_percentage=0.0, parallel_residual=False, bias=True, norm_class_name="LayerNorm",
                mlp_class_name="GptNeoxMLP", intermediate_size=4 * width,
            )
        )  # fmt: skip
        model.lm_head.weight = model.transformer.wte.weight

        def loss():
            return chunked_cross_entropy(model(inputs), targets, chunk_size=0)

    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.1, fused=True)
    times = []
    for _ in range(steps + 2):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--litgpt-python", help="an interpreter that has litgpt")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    libraries = {"daedal": sys.executable, "transformers": sys.executable}
    if options.litgpt_python:
        libraries["litgpt"] = options.litgpt_python
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    for shape, (_, _, _, context, batch, _) in SHAPES.items():
        if options.quick and shape == "12x768":
            continue
        seconds: dict[str, list[float]] = {name: [] for name in libraries}
        for _ in range(1 if options.quick else 3):
            for name, python in libraries.items():
                steps = 3 if options.quick else 5 if shape == "12x768" else 15
                command = [python, __file__, "--one", name, shape, str(steps)]
                out = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
                seconds[name].append(json.loads(out.splitlines()[-1]))
        speeds = {name: batch * context / min(found) for name, found in seconds.items()}
        fastest = max(speed for name, speed in speeds.items() if name != "daedal")
        told = ", ".join(f"{name} {speed:,.0f}" for name, speed in speeds.items())
        print(
            f"{shape}: {batch} x {context} tokens a step; tokens/s: {told}; ours / the faster {speeds['daedal'] / fastest:.2f}"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(step_seconds(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
    else:
        main()
